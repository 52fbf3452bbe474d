// Single elements of a convolution or GEMM, each summed in double by simple code: the reference for the
// results of library kernels. Implementation: kernels/cuda/sampled_elements.cu.
#pragma once

#include <cstdint>

#include "kernels/conv2d.h"

namespace ddpm {

// The element is product + added, up to rounding.
struct SampledElement {
  double product;    // the sum of its terms
  double magnitude;  // the sum of their absolute values
  double added;      // bias, residual, what the output held before
};

enum class Conv2dPass : uint8_t {
  kForward,         // elements of y (N,P,Q,K) from x, weight
  kBackwardData,    // elements of x (N,H,W,C) from y, weight
  kBackwardWeight,  // elements of weight (K,R,R,C) from x, y
};

// What is computed is not read. The filter must be whole (shape.weight_channels == shape.c).
template <typename T>
struct Conv2dSampleArgs {
  const T* x;
  const T* weight;
  const T* y;
  const T* added = nullptr;  // laid out as what is computed; null: none
  const T* bias = nullptr;   // (K), forward only; null: none
};

// Matrix `batch` of a tensor has its element (row, column) at
// begin + batch * batch_stride + row * row_stride + column * column_stride.
struct MatrixLayout {
  int64_t begin = 0, batch_stride = 0, row_stride = 0, column_stride = 1;
};

// d = alpha a b + beta c + bias: a (m, k), b (k, n), c and d (m, n), bias (n); elements are indices into
// (batch, m, n).
struct GemmSampleParams {
  int64_t m = 1, n = 1, k = 1, batch = 1;
  MatrixLayout a, b, c;
  float alpha = 1, beta = 0;
};

template <typename From, typename To>
struct GemmSampleArgs {
  const From* a;
  const From* b;
  const To* c = nullptr;     // null where beta is 0
  const To* bias = nullptr;  // null: none
};

}  // namespace ddpm
