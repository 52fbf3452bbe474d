// The estimate of the clean image implied by the model output, before clipping: shared by sampler_step
// and dynamic_threshold.
#pragma once

#include "kernels/sampler_step.h"

namespace ddpm::reference {

// Index of the prediction for element e of image n in the model output.
inline int64_t output_index(const SamplerStepParams& params, int64_t n, int64_t e) {
  const int64_t pixel = (n * params.image_elements() + e) / params.c;
  return pixel * params.output_channels() + e % params.c;
}

template <typename T>
T x0_estimate(const SamplerRow<T>& row, T x, T output) {
  return row.x0_from_x * x + row.x0_from_output * output;
}

}  // namespace ddpm::reference
