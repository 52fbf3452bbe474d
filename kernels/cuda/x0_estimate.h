// The estimate of the clean image implied by the model output, before clipping: shared by sampler_step and
// dynamic_threshold. For .cu files only.
#pragma once

#include <cstdint>

#include "kernels/sampler_step.h"

namespace ddpm::cuda {

__device__ __forceinline__ float x0_estimate(const SamplerRow<float>& row, float x, float output) {
  return row.x0_from_x * x + row.x0_from_output * output;
}

// Index of the prediction for element e of an image in a model output of 2C channels; its log variance
// is C further.
__device__ __forceinline__ int64_t mean_index(int image, int e, int elements, int channels) {
  const int pixel = e / channels;
  return 2 * (static_cast<int64_t>(image) * elements + static_cast<int64_t>(pixel) * channels) + e -
         pixel * channels;
}

}  // namespace ddpm::cuda
