// Dynamic thresholding (Saharia et al. 2022, Imagen, section 2.3): the range of an image's estimate
// of x0. It is a reduction over each image, so it runs as a separate operation before sampler_step,
// which applies the result.
#pragma once

#include "kernels/operation.h"
#include "kernels/sampler_step.h"

namespace ddpm {

struct DynamicThresholdParams {
  SamplerStepParams step;
  double ratio = 0.995;  // which quantile, in [0, 1]
  double max_value = 1;  // at least 1

  bool operator==(const DynamicThresholdParams&) const = default;
};

// threshold[n] = clamp(the ratio-quantile of |x0| over image n, 1, max_value), with x0 not yet clipped.
// Between two order statistics the quantile is interpolated, as NumPy and PyTorch do by default.
template <typename T, typename M = T>
struct DynamicThresholdArgs {
  const T* output;  // (N,H,W,output_channels)
  const SamplerRow<M>* table;
  const int64_t* index;
  const M* x;    // (N,H,W,C)
  M* threshold;  // (N)
};

inline Cost cost(const DynamicThresholdParams& s, int element_bytes) {
  return {4.0 * double(s.step.elements()), 2.0 * element_bytes * double(s.step.elements())};
}

namespace reference {
template <typename T>
void dynamic_threshold(const DynamicThresholdParams& params, const DynamicThresholdArgs<T>& args);
}  // namespace reference

// dynamic_threshold.cu. Any image size.
namespace cuda {
template <typename T>
void dynamic_threshold(const DynamicThresholdParams& params, const DynamicThresholdArgs<T, float>& args,
                       StreamView stream);
}  // namespace cuda

struct DynamicThreshold {
  DynamicThresholdParams params;
  BufferId output, table, index, x, threshold;

  static constexpr const char* kKind = "dynamic_threshold";
  template <typename Memory>
  auto args(Memory&& m) const {
    return DynamicThresholdArgs<ComputeType<Memory>, MasterType<Memory>>{
        .output = m.read("output", output),
        .table = m.read("table", table),
        .index = m.read("index", index),
        .x = m.read("x", x),
        .threshold = m.write("threshold", threshold)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(params, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const { return {kFewTerms, 0, kEstimateAmplification}; }
  template <typename T>
  void compute(const DynamicThresholdArgs<T>& args) const {
    reference::dynamic_threshold<T>(params, args);
  }
  template <typename T>
  void launch(const DynamicThresholdArgs<T, float>& args, const LaunchOn& on) const {
    cuda::dynamic_threshold<T>(params, args, on.stream);
  }
};

}  // namespace ddpm
