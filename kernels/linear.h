// The fully connected layer. Implementations: plain loops in kernels/reference/linear.cpp; tuned loops in
// kernels/cpu/linear.cpp; cuBLASLt in runtime/library/lower_linear.cpp.
#pragma once

#include <cstdint>

#include "kernels/activation.h"
#include "kernels/operation.h"

namespace ddpm {

// y = f(x) W^T + bias + residual, with f applied to the input: x (N, in), W (out, in), y (N, out).
struct LinearParams {
  int n = 1;
  int in = 1;
  int out = 1;
  Activation input_activation = Activation::kNone;

  bool operator==(const LinearParams&) const = default;
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

// dx = (dy W) f'(x) is overwritten (null: not computed). dweight += dy^T f(x), dbias += sum
// of dy over n (null: none).
template <typename T, typename M = T>
struct LinearBackwardArgs {
  const T* dy;
  const T* x;
  const T* weight;
  T* dx;
  M* dweight;
  M* dbias;
};

inline Cost cost(const LinearParams& p, int element_bytes) {
  const double weight = double(p.in) * p.out;
  return {2.0 * p.n * weight, element_bytes * (weight + double(p.n) * (p.in + p.out))};
}
inline Cost backward_cost(const LinearParams& p, int element_bytes) {
  const Cost forward = cost(p, element_bytes);
  return {2 * forward.flops, 2 * forward.bytes};
}

namespace reference {
template <typename T>
void linear(const LinearParams& params, const LinearArgs<T>& args);
template <typename T>
void linear_backward(const LinearParams& params, const LinearBackwardArgs<T>& args);
}  // namespace reference

struct Linear {
  LinearParams params;
  BufferId x, weight, bias = kNoBuffer, residual = kNoBuffer, y = kNoBuffer;

  static constexpr const char* kKind = "linear";
  template <typename Memory>
  auto args(Memory&& m) const {
    return LinearArgs<ComputeType<Memory>, MasterType<Memory>>{.x = m.read("x", x),
                                                               .weight = m.read("weight", weight),
                                                               .bias = m.read("bias", bias),
                                                               .residual = m.read("residual", residual),
                                                               .y = m.write("y", y, residual)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(params, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const { return growth_of_sum(params.in, kLayerRoundings); }
  template <typename T>
  void compute(const LinearArgs<T>& args) const {
    reference::linear<T>(params, args);
  }
};

struct LinearBackward {
  LinearParams params;
  BufferId dy, x, weight, dx = kNoBuffer, dweight, dbias = kNoBuffer;

  static constexpr const char* kKind = "linear_backward";
  template <typename Memory>
  auto args(Memory&& m) const {
    return LinearBackwardArgs<ComputeType<Memory>, MasterType<Memory>>{
        .dy = m.read("dy", dy),
        .x = m.read("x", x),
        .weight = m.read("weight", weight),
        .dx = m.write("dx", dx),
        .dweight = m.update("dweight", dweight),
        .dbias = m.update("dbias", dbias)};
  }
  Cost cost(int element_bytes) const { return backward_cost(params, element_bytes); }
  ErrorGrowth error_growth(BufferId result) const {
    if (result == dx) return growth_of_sum(params.out, kLayerRoundings);
    return growth_of_sum(params.n, result == dbias ? 0 : kLayerRoundings);
  }
  template <typename T>
  void compute(const LinearBackwardArgs<T>& args) const {
    reference::linear_backward<T>(params, args);
  }
};

}  // namespace ddpm
