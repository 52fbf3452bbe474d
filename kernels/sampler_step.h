// One step of the reverse process for a batch of images, noise included: its row of coefficients, shape,
// arguments and cost. Every sampler of this engine is this one operation with another table
// (model/sampling/sampler_table.h). Implementation: kernels/reference/sampler_step.cpp.
//
// Given the network's answer `output` at x, a sampler estimates the clean image, which it may clip,
//   x0 = clip(x0_from_x x + x0_from_output output),
// and from there on all published methods are linear. Beside x they carry at most three more images, here
// memory 0..2, so a step is one small matrix applied to each element, and noise z ~ N(0, I):
//   next x         = w_x . (x, output, x0, memory 0, memory 1, memory 2) + noise z
//   next memory i  = w_i . (x, output, x0, memory 0, memory 1, memory 2)
// - Prediction types differ in the first line alone. The network's eps = (x - signal x0) / noise_level is a
//   combination of x and output, so it needs no term of its own; DDIM's use of eps beside a clipped x0 too.
// - DDPM (Ho et al. 2020, algorithm 2) and DDIM (Song et al. 2021, equation 12) remember nothing.
// - DPM-Solver++ (Lu et al. 2022, algorithm 2) remembers the x0 of the order - 1 steps before.
// - Heun's method (Karras et al. 2022, algorithm 1) takes two rows a step: the first moves x to the next
// noise
//   level and leaves in memory 0 the step that uses half of its slope, to which the second adds its own half.
// - UniPC (Zhao et al. 2023, algorithm 1) corrects the step that led to x once x0 is known there. All of
//   the correction but the term of the new x0 lies in memory 0 already, and earlier x0 in memory 1 and 2.
// - x is always sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps, which is what the network is asked about.
//   Methods that are published for x0 + sigma eps, those of Karras et al. among them, divide by
//   sqrt(1 + sigma^2) in their coefficients instead of in a pass over the input.
#pragma once

#include <cstdint>

#include "kernels/cost.h"

namespace ddpm {

inline constexpr int kSamplerMemories = 3;

// What one result takes of each image at hand. M is the type of the sampler's state and tables.
template <typename M>
struct SamplerWeights {
  M x, output, x0;
  M memory[kSamplerMemories];
};

// The numbers of one step, computed in double on the host; a row of the table, without padding.
template <typename M>
struct SamplerRow {
  M timestep;  // at which the network was asked
  M x0_from_x, x0_from_output;
  M clip_range;   // x0 to +- this; infinity: not clipped
  M noise;        // standard deviation of the noise added to x
  M noise_range;  // where the variance is learned: ln of the largest deviation, / ln of the smallest, `noise`
  SamplerWeights<M> x;
  SamplerWeights<M> memory[kSamplerMemories];  // a row of zeros: this memory stays as it is
};
inline constexpr int kSamplerColumns = 30;
static_assert(sizeof(SamplerRow<float>) == kSamplerColumns * sizeof(float));

// What the network's answer holds.
enum class SamplerOutput : uint8_t {
  kMean,                // C channels: the prediction
  kMeanAndLogVariance,  // 2C channels: and, in [-1, 1], where each element's log variance lies between the
                        // two bounds: Nichol & Dhariwal 2021, equation 15 ("learned_range")
};

struct SamplerStepShape {
  int n = 1, h = 1, w = 1, c = 3;
  int steps = 1;     // rows of the table
  int memories = 0;  // 0 .. kSamplerMemories
  SamplerOutput output = SamplerOutput::kMean;
  int copies = 1;              // of network_input and t, one behind the other: see kernels/guidance.h
  double start_deviation = 1;  // of the noise that sampling starts from
  uint64_t seed = 0;

  int output_channels() const { return output == SamplerOutput::kMean ? c : 2 * c; }
  int64_t image_elements() const { return int64_t{h} * w * c; }
  int64_t elements() const { return n * image_elements(); }
  bool operator==(const SamplerStepShape&) const = default;
};

// Draws x ~ N(0, start_deviation^2) for images *first_image .. *first_image + n - 1. An image's noise depends
// on the seed and the image's number alone, not on the batch. Sets t to the first row's timestep. T is
// the network's type.
template <typename T, typename M = T>
struct SamplerStartArgs {
  const SamplerRow<M>* table;  // (steps)
  const int64_t* first_image;
  M* x;              // (N,H,W,C): the sampler's state
  T* network_input;  // (copies,N,H,W,C): x in the network's element type
  M* t;              // (copies,N)
};

// The step of row *index. Sets t to the next row's timestep (the last row leaves it) and network_input to x.
// A weight of 0 leaves its term out rather than multiplies by 0: a memory holds nothing before it is first
// written. So a step reads x, output and the memories that its row names, and writes x, network_input and the
// memories whose row is not zero; which these are is the same for all elements.
template <typename T, typename M = T>
struct SamplerStepArgs {
  const T* output;  // (N,H,W,output_channels): the network's answer
  const SamplerRow<M>* table;
  const int64_t* index;
  const int64_t* first_image;
  M* x;
  M* memory;           // (memories,N,H,W,C); null where there are none
  const M* threshold;  // (N), or null; if given, x0 is clipped to +- threshold[n] and divided by it instead
  T* network_input;    // (copies,N,H,W,C)
  M* t;                // (copies,N)
};

inline Cost cost(const SamplerStepShape& s, int element_bytes) {
  const double passes = 3 + s.copies + 2 * s.memories + (s.output == SamplerOutput::kMean ? 0 : 1);
  return {40.0 * double(s.elements()), passes * element_bytes * double(s.elements())};
}

}  // namespace ddpm
