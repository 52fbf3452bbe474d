// One update of the reverse process for a batch of images, noise included: its shape, arguments and cost.
// Implementation: kernels/reference/sampler_step.cpp. Depends on kernels/{cost,diffusion}.h.
#pragma once

#include <cstdint>

#include "kernels/cost.h"
#include "kernels/diffusion.h"

namespace ddpm {

// The numbers of one update, computed in double on the host (model/sampler_schedule.h), a row of a table:
//   (x0, eps) from the model's output by the prediction type, with a = signal, s = noise_level:
//     epsilon: x0 = (x - s out)/a, eps = out;   sample: x0 = out, eps = (x - a out)/s;
//     velocity: x0 = a x - s out, eps = a out + s x
//   x0 = clamp(x0, -clip_range, clip_range)
//   x  = x0_coefficient x0 + x_coefficient x + epsilon_coefficient eps + previous_x0_coefficient previous_x0
//      + noise_coefficient z,   z ~ N(0, I)
struct SamplerCoefficients {
  double timestep;
  double signal;       // sqrt(alpha_bar_t)
  double noise_level;  // sqrt(1 - alpha_bar_t)
  double clip_range;   // infinity: no clipping
  double x0_coefficient;
  double x_coefficient;
  double epsilon_coefficient;
  double previous_x0_coefficient;
  double noise_coefficient;
};
inline constexpr int kSamplerColumns = 9;

struct SamplerStepShape {
  int n = 1, h = 1, w = 1, c = 3;
  int steps = 1;
  Prediction prediction = Prediction::kEpsilon;
  bool keeps_previous_x0 = false;
  uint64_t seed = 0;

  int64_t image_elements() const { return int64_t{h} * w * c; }
  int64_t elements() const { return n * image_elements(); }
  bool operator==(const SamplerStepShape&) const = default;
};

// Draws x ~ N(0, I) for images *first_image .. *first_image + n - 1. An image's noise depends on the seed and
// the image's number alone, not on the batch. Sets t (N) to the first row's timestep. T is the network's
// type, M that of the sampler's own state and tables.
template <typename T, typename M = T>
struct SamplerStartArgs {
  const M* table;  // (steps, kSamplerColumns), the columns in SamplerCoefficients' order
  const int64_t* first_image;
  M* x;              // (N,H,W,C): the sampler's state
  T* network_input;  // (N,H,W,C): x in the network's element type
  M* t;              // (N)
};

// The update of row *index. Sets t to the next row's timestep (the last row leaves it) and network_input to
// x.
template <typename T, typename M = T>
struct SamplerStepArgs {
  const T* output;  // (N,H,W,C): the network's answer
  const M* table;
  const int64_t* index;
  const int64_t* first_image;
  M* x;
  M* previous_x0;  // null where the method keeps none
  T* network_input;
  M* t;
};

inline Cost cost(const SamplerStepShape& s, int element_bytes) {
  const double passes = s.keeps_previous_x0 ? 6 : 4;
  return {40.0 * double(s.elements()), passes * element_bytes * double(s.elements())};
}

}  // namespace ddpm
