// One step of sampling as a Program: the network and the sampler's update.
#pragma once

#include <cstdint>
#include <vector>

#include "model/sampling/condition.h"
#include "model/sampling/noise_schedule.h"
#include "model/sampling/sampler_table.h"
#include "model/unet/unet.h"
#include "runtime/program/program.h"

namespace ddpm {

// The conditions that a network with a table of embeddings draws images with (model/sampling/condition.h).
struct Conditioning {
  std::vector<ConditionRow> rows{};  // image i is drawn with row i mod size; none: zeros
  double guidance_scale = 1;         // kernels/guidance.h; 1: not guided
  ConditionRow none{};               // the row of no condition, where the scale is not 1

  // Evaluations of the network for an image of a step: one, or with the condition and without.
  int copies() const { return guidance_scale == 1 ? 1 : 2; }
};

struct GenerationOptions {
  UnetConfig network{};
  NoiseScheduleOptions schedule{};
  SamplerOptions sampler{};
  Conditioning conditioning{};
  int batch = 16;
  uint64_t seed = 0;
};

struct SamplingBuffers {
  BufferId table;          // (steps, kSamplerColumns): model/sampling/sampler_table.h
  BufferId index;          // counter: sampler steps done; to be reset to 0 before kStart
  BufferId first_image;    // the number of the batch's first image
  BufferId x;              // (N,H,W,C): the sampler's state, after the last step the samples in [-1, 1]
  BufferId network_input;  // (copies,N,H,W,C): x in the network's element type
  // (copies,N,...): the conditions (add_labels in model/unet/unet.h); kNoBuffer where the network takes none.
  // With guidance first the rows of the batch, then rows of no condition.
  BufferId labels;
};

// Phase kStart draws the initial noise; kForward and kUpdate together make one step, run once for each row of
// the table.
struct SamplingProgram {
  Program program;
  SamplingBuffers buffers;
};

// `table` is the sampler's of these options. InputError where the network's output has neither in_channels
// channels nor, where it predicts variances too, twice as many.
SamplingProgram sampling_program(const GenerationOptions& options, const SamplerTable& table);
// The same with the table that follows from the options.
SamplingProgram sampling_program(const GenerationOptions& options);

}  // namespace ddpm
