// One step of sampling as a Program: the network and the sampler's update. Depends on model/unet.h.
#pragma once

#include <cstdint>

#include "kernels/sampler_step.h"
#include "model/unet.h"
#include "runtime/program.h"

namespace ddpm {

struct SamplingOptions {
  UnetConfig network;
  int batch = 16;
  int steps = 50;
  Prediction prediction = Prediction::kEpsilon;
  bool keeps_previous_x0 = false;  // the method is a multistep one
  uint64_t seed = 0;
};

// Phase kStart draws the initial noise; kForward and kUpdate together make one step and are run `steps` times.
struct SamplingProgram {
  Program program;
  BufferId table;        // (steps, kSamplerColumns): model/sampler_schedule.h
  BufferId index;        // counter: sampler steps done; to be reset to 0 before kStart
  BufferId first_image;  // the number of the batch's first image
  BufferId x;            // (N,H,W,C): the images on their way, after the last step the samples in [-1, 1]
};

SamplingProgram sampling_program(const SamplingOptions& options);

}  // namespace ddpm
