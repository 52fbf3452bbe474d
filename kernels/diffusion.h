// Both ends of a training step: `diffuse` makes the noisy input, and `loss` compares the model output with
// its target. Both draw the same random numbers from the same counters, so the noise is never stored. Also
// defines what the model predicts (epsilon, x0 or v), how t is drawn, and how the loss is reduced.
#pragma once

#include <cstdint>

#include "device/host_device.h"
#include "kernels/operation.h"
#include "kernels/permutation.h"

namespace ddpm {

// What the model predicts. With a = sqrt(alpha_bar_t), s = sqrt(1 - alpha_bar_t), x_t = a x0 + s eps:
enum class Prediction : uint8_t {
  kEpsilon,   // eps: Ho et al. 2020
  kSample,    // x0
  kVelocity,  // v = a eps - s x0: Salimans & Ho 2022, appendix D
};

enum class TimestepDraw : uint8_t {
  kUniform,     // t uniform in {0 .. T-1}, independent
  kAntithetic,  // images 2k and 2k+1 of the run's stream get t and T-1-t: Song et al. 2021 (DDIM's code)
};

// How squared errors become one number an image; the batch's loss is the mean over its images either way.
enum class LossReduction : uint8_t {
  kMean,  // mean over elements: Ho et al. 2020
  kSum,   // sum over elements: DDIM's code
};

// What the memory holds that the images are read from.
enum class DatasetRows : uint8_t {
  kEveryImage,   // the whole data set: row i is its image i
  kBatchImages,  // the step's images: row j is image j of the batch (image_of_batch)
};

// The batch of a training step. Image j of step k has position p = k*n + j in the run's stream of images:
// p / dataset_count is the epoch, and the epoch's order is a keyed permutation of the data set. All of an
// image's random numbers are a function of (seed, p, element), so nothing depends on how a batch is split.
struct DiffusionParams {
  int n = 1, h = 1, w = 1, c = 3;
  int64_t dataset_count = 1;
  int timesteps = 1000;  // T
  Prediction prediction = Prediction::kEpsilon;
  TimestepDraw draw = TimestepDraw::kUniform;
  LossReduction reduction = LossReduction::kMean;
  bool horizontal_flip = false;  // each image mirrored with probability 1/2
  uint64_t seed = 0;
  DatasetRows rows = DatasetRows::kEveryImage;  // changes no number that is computed

  int64_t image_elements() const { return int64_t{h} * w * c; }
  int64_t elements() const { return n * image_elements(); }
  bool operator==(const DiffusionParams&) const = default;
};

// Which image of the data set image j of step k is.
DDPM_HOST_DEVICE constexpr int64_t image_of_batch(uint64_t seed, int n, int64_t dataset_count, int64_t step,
                                                  int j) {
  const uint64_t position = static_cast<uint64_t>(step) * static_cast<uint64_t>(n) + static_cast<uint64_t>(j);
  return static_cast<int64_t>(shuffled_image(seed, position, static_cast<uint64_t>(dataset_count)));
}

// dataset (dataset_count, H, W, C), or (N, H, W, C) with DatasetRows::kBatchImages, in 0..255; x0 = pixel /
// 127.5 - 1. signal[t] = sqrt(alpha_bar_t), noise[t] = sqrt(1 - alpha_bar_t), both (T). *step is k above.
// Writes x_t (N,H,W,C) and t (N), whole numbers; and where `index` is not null, which image of the data set
// it is (N). T is the activations' type, M that of tables, times and losses.
template <typename T, typename M = T>
struct DiffuseArgs {
  const uint8_t* dataset;
  const M* signal;
  const M* noise;
  const int64_t* step;
  T* x_t;
  M* t;
  int64_t* index;
};

// image_loss[n] = weight[t] * (mean or sum over elements of (prediction - target)^2); weight (T), null: 1.
// dprediction (N,H,W,C) = gradient of the mean over the batch of image_loss.
template <typename T, typename M = T>
struct LossArgs {
  const T* prediction;
  const uint8_t* dataset;
  const M* signal;
  const M* noise;
  const M* weight;
  const M* t;
  const int64_t* step;
  T* dprediction;
  M* image_loss;
};

inline Cost cost_of_diffuse(const DiffusionParams& s, int element_bytes) {
  return {40.0 * double(s.elements()), (1.0 + element_bytes) * double(s.elements())};
}
inline Cost cost_of_loss(const DiffusionParams& s, int element_bytes) {
  const bool reads_image = s.prediction != Prediction::kEpsilon;
  return {40.0 * double(s.elements()), (2.0 * element_bytes + (reads_image ? 1 : 0)) * double(s.elements())};
}

namespace reference {
template <typename T>
void diffuse(const DiffusionParams& params, const DiffuseArgs<T>& args);
template <typename T>
void loss(const DiffusionParams& params, const LossArgs<T>& args);
}  // namespace reference

// diffusion.cu. Scratch holds what was drawn for each image, and the loss's partial sums. Any image size.
namespace cuda {
size_t diffuse_scratch_bytes(const DiffusionParams& params);
template <typename T>
void diffuse(const DiffusionParams& params, const DiffuseArgs<T, float>& args, void* scratch,
             StreamView stream);
size_t loss_scratch_bytes(const DiffusionParams& params);
template <typename T>
void loss(const DiffusionParams& params, const LossArgs<T, float>& args, void* scratch, StreamView stream);
}  // namespace cuda

struct Diffuse {
  DiffusionParams params;
  BufferId dataset, signal, noise, step, x_t, t;

  static constexpr const char* kKind = "diffuse";
  template <typename Memory>
  auto args(Memory&& m) const {
    return DiffuseArgs<ComputeType<Memory>, MasterType<Memory>>{.dataset = m.read("dataset", dataset),
                                                                .signal = m.read("signal", signal),
                                                                .noise = m.read("noise", noise),
                                                                .step = m.read("step", step),
                                                                .x_t = m.write("x_t", x_t),
                                                                .t = m.write("t", t),
                                                                .index = nullptr};
  }
  Cost cost(int element_bytes) const { return cost_of_diffuse(params, element_bytes); }
  ErrorGrowth error_growth(BufferId result) const {
    return result == t ? kExact : ErrorGrowth{.terms = kFewTerms};
  }
  template <typename T>
  void compute(const DiffuseArgs<T>& args) const {
    reference::diffuse<T>(params, args);
  }
  size_t scratch_bytes() const { return cuda::diffuse_scratch_bytes(params); }
  template <typename T>
  void launch(const DiffuseArgs<T, float>& args, const LaunchOn& on) const {
    cuda::diffuse<T>(params, args, on.scratch, on.stream);
  }
};

struct Loss {
  DiffusionParams params;
  BufferId prediction, dataset, signal, noise, weight = kNoBuffer, t, step;
  BufferId dprediction, image_loss;

  static constexpr const char* kKind = "loss";
  template <typename Memory>
  auto args(Memory&& m) const {
    return LossArgs<ComputeType<Memory>, MasterType<Memory>>{
        .prediction = m.read("prediction", prediction),
        .dataset = m.read("dataset", dataset),
        .signal = m.read("signal", signal),
        .noise = m.read("noise", noise),
        .weight = m.read("weight", weight),
        .t = m.read("t", t),
        .step = m.read("step", step),
        .dprediction = m.write("dprediction", dprediction),
        .image_loss = m.write("image_loss", image_loss)};
  }
  Cost cost(int element_bytes) const { return cost_of_loss(params, element_bytes); }
  ErrorGrowth error_growth(BufferId result) const {
    if (result == dprediction) return {.terms = kFewTerms};
    return growth_of_sum(double(params.image_elements()) + kFewTerms, 0);
  }
  template <typename T>
  void compute(const LossArgs<T>& args) const {
    reference::loss<T>(params, args);
  }
  size_t scratch_bytes() const { return cuda::loss_scratch_bytes(params); }
  template <typename T>
  void launch(const LossArgs<T, float>& args, const LaunchOn& on) const {
    cuda::loss<T>(params, args, on.scratch, on.stream);
  }
};

}  // namespace ddpm
