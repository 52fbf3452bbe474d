// One step of sampling as a Program: the network and the sampler's update.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/sampler_step.h"
#include "model/unet/unet.h"
#include "runtime/program/program.h"

namespace ddpm {

// Dynamic thresholding: kernels/dynamic_threshold.h.
struct Thresholding {
  double ratio = 0.995;
  double max_value = 1;
};

struct SamplingOptions {
  UnetConfig network;
  int batch = 16;
  int steps = 50;  // rows of the sampler's table; with the next two, see SamplerTable
  int history_size = 0;
  double start_deviation = 1;
  double guidance_scale =
      1;  // of a conditional network: kernels/guidance.h; 1: the network is asked once an image
  std::optional<Thresholding> thresholding{};  // of the estimates of x_0, instead of clipping
  uint64_t seed = 0;

  // How often the network is asked about each image in a step: once, or with the condition and without.
  int copies() const { return guidance_scale == 1 ? 1 : 2; }
};

// Phase kStart draws the initial noise; kForward and kUpdate together make one step and are run `steps`
// times.
struct SamplingProgram {
  Program program;
  BufferId table;          // (steps, kSamplerColumns): model/sampling/sampler_table.h
  BufferId index;          // counter: sampler steps done; to be reset to 0 before kStart
  BufferId first_image;    // the number of the batch's first image
  BufferId x;              // (N,H,W,C): the images on their way, after the last step the samples in [-1, 1]
  BufferId network_input;  // (copies,N,H,W,C): x in the network's element type
  BufferId
      labels;  // (copies,N,...): what the network is told (add_labels in model/unet/unet.h); kNoBuffer where
               // nothing. With guidance first all conditions, then as often none.
};

// The network's answers have in_channels channels, or twice as many where it predicts variances too.
// InputError otherwise.
SamplingProgram sampling_program(const SamplingOptions& options);

}  // namespace ddpm
