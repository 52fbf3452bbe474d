// The softmax over rows of a matrix: its shape, arguments and cost. Between two matrix products it is
// attention. Implementation: kernels/reference/softmax.cpp.
#pragma once

#include <cstdint>

#include "kernels/cost.h"

namespace ddpm {

// p[r,i] = exp(scale x[r,i]) / sum over j of exp(scale x[r,j]), for x (rows, length).
struct SoftmaxShape {
  int64_t rows = 1;
  int length = 1;
  double scale = 1;

  int64_t elements() const { return rows * length; }
  bool operator==(const SoftmaxShape&) const = default;
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

inline Cost cost(const SoftmaxShape& s, int element_bytes) {
  return {10.0 * double(s.elements()), 2.0 * element_bytes * double(s.elements())};
}
inline Cost backward_cost(const SoftmaxShape& s, int element_bytes) {
  return {5.0 * double(s.elements()), 3.0 * element_bytes * double(s.elements())};
}

}  // namespace ddpm
