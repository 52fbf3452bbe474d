// What the network's answer says about the clean image, before any clipping: shared by sampler_step and
// dynamic_threshold.
#pragma once

#include "kernels/sampler_step.h"

namespace ddpm::reference {

// Where in the network's answer the prediction for element e of image n stands.
inline int64_t output_index(const SamplerStepParams& params, int64_t n, int64_t e) {
  const int64_t pixel = (n * params.image_elements() + e) / params.c;
  return pixel * params.output_channels() + e % params.c;
}

template <typename T>
T x0_estimate(const SamplerRow<T>& row, T x, T output) {
  return row.x0_from_x * x + row.x0_from_output * output;
}

}  // namespace ddpm::reference
