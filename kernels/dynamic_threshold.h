// How far an image's estimate of x0 may reach under dynamic thresholding (Saharia et al. 2022, Imagen,
// section 2.3): a reduction over each image, so an operation of its own before sampler_step, which applies
// the result. Implementation: kernels/reference/dynamic_threshold.cpp.
#pragma once

#include "kernels/sampler_step.h"

namespace ddpm {

struct DynamicThresholdShape {
  SamplerStepShape step;
  double ratio = 0.995;  // which quantile, in [0, 1]
  double max_value = 1;  // at least 1

  bool operator==(const DynamicThresholdShape&) const = default;
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

inline Cost cost(const DynamicThresholdShape& s, int element_bytes) {
  return {4.0 * double(s.step.elements()), 2.0 * element_bytes * double(s.step.elements())};
}

}  // namespace ddpm
