// The softmax over the rows of a matrix, which between two GEMMs makes attention.
#pragma once

#include <cstdint>

#include "kernels/operation.h"

namespace ddpm {

// p[r,i] = exp(scale x[r,i]) / sum over j of exp(scale x[r,j]), for x (rows, length).
struct SoftmaxParams {
  int64_t rows = 1;
  int length = 1;
  double scale = 1;

  int64_t elements() const { return rows * length; }
  bool operator==(const SoftmaxParams&) const = default;
};

// p may be x.
template <typename T>
struct SoftmaxArgs {
  const T* x;
  T* p;
};

// dx[r,i] = scale p[r,i] (dp[r,i] - sum over j of dp[r,j] p[r,j]); dx may be dp.
template <typename T>
struct SoftmaxBackwardArgs {
  const T* p;
  const T* dp;
  T* dx;
};

inline Cost cost(const SoftmaxParams& s, int element_bytes) {
  return {10.0 * double(s.elements()), 2.0 * element_bytes * double(s.elements())};
}
inline Cost backward_cost(const SoftmaxParams& s, int element_bytes) {
  return {5.0 * double(s.elements()), 3.0 * element_bytes * double(s.elements())};
}

namespace reference {
template <typename T>
void softmax(const SoftmaxParams& params, const SoftmaxArgs<T>& args);
template <typename T>
void softmax_backward(const SoftmaxParams& params, const SoftmaxBackwardArgs<T>& args);
}  // namespace reference

// softmax.cu. Rows of up to 4096 elements in float and 8192 in bf16.
namespace cuda {
template <typename T>
void softmax(const SoftmaxParams& params, const SoftmaxArgs<T>& args, StreamView stream);
template <typename T>
void softmax_backward(const SoftmaxParams& params, const SoftmaxBackwardArgs<T>& args, StreamView stream);
}  // namespace cuda

}  // namespace ddpm
