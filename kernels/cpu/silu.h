// The sigmoid and SiLU (Elfwing et al. 2018), x sigmoid(x), with its derivative, in float and vectorizable.
#pragma once

#include <cmath>

#include "kernels/cpu/exponential.h"

namespace ddpm::cpu {

// 1 / (1 + exp(-x)), as exp(x) / (1 + exp(x)) where x < 0, so that nothing overflows.
inline float sigmoid(float x) {
  const float e = exp_nonpositive(-std::abs(x));
  return (x < 0 ? e : 1.0F) / (1 + e);
}

inline float silu(float x) { return x * sigmoid(x); }

inline float silu_derivative(float x) {
  const float s = sigmoid(x);
  return s * (1 + x * (1 - s));
}

}  // namespace ddpm::cpu
