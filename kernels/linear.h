// The fully connected layer: its shape, arguments and cost. Implementation: kernels/reference/linear.cpp.
#pragma once

#include <cstdint>

#include "kernels/activation.h"
#include "kernels/cost.h"

namespace ddpm {

// y = f(x) W^T + bias + residual, with f applied to the input: x (N, in), W (out, in), y (N, out).
struct LinearShape {
  int n = 1;
  int in = 1;
  int out = 1;
  Activation input_activation = Activation::kNone;

  bool operator==(const LinearShape&) const = default;
};

// T is the type of activations and of the weights computed with, M of biases and of parameters' gradients.
// bias and residual may be null; residual (N, out) may be y itself.
template <typename T, typename M = T>
struct LinearArgs {
  const T* x;
  const T* weight;
  const M* bias;
  const T* residual;
  T* y;
};

// dx = (dy W) f'(x) is overwritten (null: not wanted); dweight += dy^T f(x); dbias += sum of dy over n (null:
// none).
template <typename T, typename M = T>
struct LinearBackwardArgs {
  const T* dy;
  const T* x;
  const T* weight;
  T* dx;
  M* dweight;
  M* dbias;
};

inline Cost cost(const LinearShape& s, int element_bytes) {
  const double weight = double(s.in) * s.out;
  return {2.0 * s.n * weight, element_bytes * (weight + double(s.n) * (s.in + s.out))};
}
inline Cost backward_cost(const LinearShape& s, int element_bytes) {
  const Cost forward = cost(s, element_bytes);
  return {2 * forward.flops, 2 * forward.bytes};
}

}  // namespace ddpm
