// One row of the softmax and of its backward pass.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/reference/exponential.h"

namespace ddpm::reference {

// p = softmax(scale x), with scale > 0; p may be x. The row's largest value is subtracted first, so that no
// exponential overflows. The sum is taken in double.
template <typename T>
void softmax_row(int64_t count, T scale, const T* x, T* p) {
  const T largest = *std::max_element(x, x + count);
  for (int64_t i = 0; i < count; ++i) p[i] = exp_nonpositive(scale * (x[i] - largest));
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += double(p[i]);
  const T inverse = T(1 / sum);
  for (int64_t i = 0; i < count; ++i) p[i] *= inverse;
}

// dx = scale p (dp - sum of p dp); dx may be dp.
template <typename T>
void softmax_row_backward(int64_t count, T scale, const T* p, const T* dp, T* dx) {
  double mean = 0;
  for (int64_t i = 0; i < count; ++i) mean += double(p[i]) * double(dp[i]);
  for (int64_t i = 0; i < count; ++i) dx[i] = scale * p[i] * (dp[i] - T(mean));
}

}  // namespace ddpm::reference
