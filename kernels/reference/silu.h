// The sigmoid and SiLU (Elfwing et al. 2018), x sigmoid(x), with its derivative.
#pragma once

#include <cmath>

#include "kernels/reference/exponential.h"

namespace ddpm::reference {

// 1 / (1 + exp(-x)), as exp(x) / (1 + exp(x)) where x < 0: nothing overflows.
template <typename T>
T sigmoid(T x) {
  const T e = exp_nonpositive(-std::abs(x));
  return (x < 0 ? e : T{1}) / (1 + e);
}

template <typename T>
T silu(T x) {
  return x * sigmoid(x);
}

template <typename T>
T silu_derivative(T x) {
  const T s = sigmoid(x);
  return s * (1 + x * (1 - s));
}

}  // namespace ddpm::reference
