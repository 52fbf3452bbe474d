// One step of the reverse process for a batch of images, including the noise. All samplers of this engine are
// this operation, each with its own table of coefficients (model/sampling/sampler_table.h).
//
// Given the model's `output` at x, a sampler estimates the clean image, which it may clip:
//   x0 = clip(x0_from_x x + x0_from_output output)
// From there on all published methods are linear. Besides x they carry at most three more images, history
// 0..2, so a step is one small matrix applied to each element, and noise z ~ N(0, I):
//   next x         = w_x . (x, output, x0, history 0, history 1, history 2) + noise z
//   next history i = w_i . (x, output, x0, history 0, history 1, history 2)
//
// - Prediction types differ in the first line only. The model's eps = (x - signal x0) / noise_level is a
//   combination of x and output, so it needs no term of its own; neither does DDIM's use of eps next to a
//   clipped x0.
// - DDPM (Ho et al. 2020, algorithm 2) and DDIM (Song et al. 2021, equation 12) have no history.
// - DPM-Solver++ (Lu et al. 2022, algorithm 2) keeps the x0 of the previous order - 1 steps.
// - Heun's method (Karras et al. 2022, algorithm 1) takes two rows per step: the first moves x to the next
//   noise level and leaves in history 0 the step with half of its slope; the second adds its own half.
// - UniPC (Zhao et al. 2023, algorithm 1) corrects the step that led to x once x0 is known there. All of the
//   correction except the term of the new x0 is already in history 0, and earlier x0 are in history 1 and 2.
// - x is always sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps, which is what the model takes. Methods
//   published for x0 + sigma eps, such as those of Karras et al., divide by sqrt(1 + sigma^2) in their
//   coefficients instead of in a pass over the input.
#pragma once

#include <cstdint>

#include "kernels/operation.h"

namespace ddpm {

inline constexpr int kSamplerHistory = 3;

// What one result takes of each image at hand. M is the type of the sampler's state and tables.
template <typename M>
struct SamplerWeights {
  M x, output, x0;
  M history[kSamplerHistory];
};

// The numbers of one step, computed in double on the host; a row of the table, without padding.
template <typename M>
struct SamplerRow {
  M timestep;  // at which the model is evaluated
  M x0_from_x, x0_from_output;
  M clip_range;   // x0 to +- this; infinity: not clipped
  M noise;        // standard deviation of the noise added to x
  M noise_range;  // where the variance is learned: ln of the largest deviation, / ln of the smallest, `noise`
  SamplerWeights<M> x;
  SamplerWeights<M> history[kSamplerHistory];  // a row of zeros leaves this image as it is
};
inline constexpr int kSamplerColumns = 30;
static_assert(sizeof(SamplerRow<float>) == kSamplerColumns * sizeof(float));

// What the model's output holds.
enum class SamplerOutput : uint8_t {
  kMean,                // C channels: the prediction
  kMeanAndLogVariance,  // 2C channels: and, in [-1, 1], where each element's log variance lies between the
                        // two bounds: Nichol & Dhariwal 2021, equation 15 ("learned_range")
};

struct SamplerStepParams {
  int n = 1, h = 1, w = 1, c = 3;
  int steps = 1;         // rows of the table
  int history_size = 0;  // images kept besides x: 0 .. kSamplerHistory
  SamplerOutput output = SamplerOutput::kMean;
  int copies = 1;              // of network_input and t, one behind the other: see kernels/guidance.h
  double start_deviation = 1;  // of the noise that sampling starts from
  uint64_t seed = 0;

  int output_channels() const { return output == SamplerOutput::kMean ? c : 2 * c; }
  int64_t image_elements() const { return int64_t{h} * w * c; }
  int64_t elements() const { return n * image_elements(); }
  bool operator==(const SamplerStepParams&) const = default;
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
// A weight of 0 leaves its term out rather than multiplying by 0: an image of the history holds nothing
// before it is first written. So a step reads x, output and the history that its row names, and writes x,
// network_input and the history whose row is not zero; which these are is the same for all elements.
template <typename T, typename M = T>
struct SamplerStepArgs {
  const T* output;  // (N,H,W,output_channels): the model's output
  const SamplerRow<M>* table;
  const int64_t* index;
  const int64_t* first_image;
  M* x;
  M* history;          // (history_size,N,H,W,C); null where there are none
  const M* threshold;  // (N), or null; if given, x0 is clipped to +- threshold[n] and divided by it instead
  T* network_input;    // (copies,N,H,W,C)
  M* t;                // (copies,N)
};

inline Cost cost(const SamplerStepParams& s, int element_bytes) {
  const double passes = 3 + s.copies + 2 * s.history_size + (s.output == SamplerOutput::kMean ? 0 : 1);
  return {40.0 * double(s.elements()), passes * element_bytes * double(s.elements())};
}

namespace reference {
template <typename T>
void sampler_start(const SamplerStepParams& params, const SamplerStartArgs<T>& args);
template <typename T>
void sampler_step(const SamplerStepParams& params, const SamplerStepArgs<T>& args);
}  // namespace reference

// sampler_step.cu. Any image size.
namespace cuda {
template <typename T>
void sampler_start(const SamplerStepParams& params, const SamplerStartArgs<T, float>& args,
                   StreamView stream);
template <typename T>
void sampler_step(const SamplerStepParams& params, const SamplerStepArgs<T, float>& args, StreamView stream);
}  // namespace cuda

// At the first steps the estimate of x0 is a small difference divided by sqrt(alpha_bar), about 1/150.
inline constexpr double kEstimateAmplification = 16;

struct SamplerStart {
  SamplerStepParams params;
  BufferId table, first_image, x, network_input, t;

  static constexpr const char* kKind = "sampler_start";
  template <typename Memory>
  auto args(Memory&& m) const {
    return SamplerStartArgs<ComputeType<Memory>, MasterType<Memory>>{
        .table = m.read("table", table),
        .first_image = m.read("first_image", first_image),
        .x = m.write("x", x),
        .network_input = m.write("network_input", network_input),
        .t = m.write("t", t)};
  }
  Cost cost(int /*element_bytes*/) const { return {}; }
  ErrorGrowth error_growth(BufferId result) const {
    return result == t ? kExact : ErrorGrowth{kFewTerms, result == network_input ? 1.0 : 0.0, 1};
  }
  template <typename T>
  void compute(const SamplerStartArgs<T>& args) const {
    reference::sampler_start<T>(params, args);
  }
  template <typename T>
  void launch(const SamplerStartArgs<T, float>& args, const LaunchOn& on) const {
    cuda::sampler_start<T>(params, args, on.stream);
  }
};

struct SamplerStep {
  SamplerStepParams params;
  BufferId output, table, index, first_image, x;
  BufferId history = kNoBuffer;    // (history_size, N, H, W, C)
  BufferId threshold = kNoBuffer;  // (N)
  BufferId network_input, t;

  static constexpr const char* kKind = "sampler_step";
  template <typename Memory>
  auto args(Memory&& m) const {
    return SamplerStepArgs<ComputeType<Memory>, MasterType<Memory>>{
        .output = m.read("output", output),
        .table = m.read("table", table),
        .index = m.read("index", index),
        .first_image = m.read("first_image", first_image),
        .x = m.update("x", x),
        .history = m.update("history", history),
        .threshold = m.read("threshold", threshold),
        .network_input = m.write("network_input", network_input),
        .t = m.update("t", t)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(params, element_bytes); }
  ErrorGrowth error_growth(BufferId result) const {
    return result == t ? kExact
                       : ErrorGrowth{kFewTerms, result == network_input ? 1.0 : 0.0, kEstimateAmplification};
  }
  template <typename T>
  void compute(const SamplerStepArgs<T>& args) const {
    reference::sampler_step<T>(params, args);
  }
  template <typename T>
  void launch(const SamplerStepArgs<T, float>& args, const LaunchOn& on) const {
    cuda::sampler_step<T>(params, args, on.stream);
  }
};

}  // namespace ddpm
