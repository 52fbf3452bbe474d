// The layers of ComposedProducts, each as a sequence of steps; arguments as in kernels/*.h.
#pragma once

#include "kernels/attention.h"
#include "kernels/conv2d.h"
#include "kernels/cuda/kernels.h"
#include "kernels/linear.h"
#include "runtime/library/composed_products.h"
#include "runtime/library/steps.h"

namespace ddpm::composed {

template <typename T>
inline constexpr ProductType kType = sizeof(T) == 4 ? ProductType::kFloat : ProductType::kBfloat16;

// Bytes of so many elements, each moved `times` times.
template <typename T>
double bytes_of(int64_t elements, double times = 1) {
  return times * static_cast<double>(elements) * sizeof(T);
}

// Biases are given in T, the type of the weights computed with: the one type that cuBLASLt takes beside
// outputs of T (cublasLt.h on CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE).

// Puts bias and residual (null: none) into y (rows, channels) for the product to be added to. Returns whether
// there is anything: where not, y is uninitialised and the product overwrites it.
template <typename T>
bool start_output(ProductSteps& steps, int64_t rows, int channels, const T* bias, const T* residual, T* y) {
  if (bias != nullptr) {
    steps.kernel(bytes_of<T>(rows * channels, residual == nullptr ? 1 : 2),
                 [&](StreamView stream) { cuda::broadcast_bias(rows, channels, bias, residual, y, stream); });
  } else if (residual != nullptr && residual != y) {
    steps.kernel(bytes_of<T>(rows * channels, 2),
                 [&](StreamView stream) { cuda::convert(rows * channels, residual, y, stream); });
  }
  return bias != nullptr || residual != nullptr;
}

// d = the product + bias + c, both of them or none: by the library alone where it does, or else added to what
// a kernel has put into d.
template <typename T>
void matrix_layer(ProductSteps& steps, MatrixProblem problem, MatrixTensors tensors) {
  problem.beta = tensors.c == nullptr ? 0.0F : 1.0F;
  problem.bias = tensors.bias != nullptr;
  if (problem.bias && !steps.fuses(problem)) {
    start_output(steps, problem.m, static_cast<int>(problem.n), static_cast<const T*>(tensors.bias),
                 static_cast<const T*>(tensors.c), static_cast<T*>(tensors.d));
    problem = without_bias(problem);
    tensors.c = tensors.d;
  }
  steps.matrix_product(problem, tensors);
}

// dbias and also_dbias (null: not wanted) += sum of dy (rows, channels) over its rows.
template <typename T>
void add_bias_gradient(ProductSteps& steps, int64_t rows, int channels, const T* dy, float* dbias,
                       float* also_dbias = nullptr) {
  if (dbias == nullptr) return;
  auto* scratch =
      steps.scratch<std::byte>(static_cast<int64_t>(cuda::bias_gradient_scratch_bytes(rows, channels)));
  steps.kernel(bytes_of<T>(rows * channels), [&](StreamView stream) {
    cuda::bias_gradient(rows, channels, dy, {dbias, also_dbias}, scratch, stream);
  });
}

// convolution.cpp
template <typename T>
void conv2d(ProductSteps& steps, const Conv2dShape& shape, const Conv2dArgs<T>& args);
template <typename T>
void conv2d_backward_data(ProductSteps& steps, const Conv2dShape& shape,
                          const Conv2dBackwardDataArgs<T>& args);
template <typename T>
void conv2d_backward_weight(ProductSteps& steps, const Conv2dShape& shape,
                            const Conv2dBackwardWeightArgs<T, float>& args);

// upsample.cpp
template <typename T>
void upsample_conv2d(ProductSteps& steps, UpsampleForm form, const UpsampleConv2dShape& shape,
                     const Conv2dArgs<T>& args);
template <typename T>
void upsample_conv2d_backward_data(ProductSteps& steps, UpsampleForm form, const UpsampleConv2dShape& shape,
                                   const Conv2dBackwardDataArgs<T>& args);
template <typename T>
void upsample_conv2d_backward_weight(ProductSteps& steps, UpsampleForm form, const UpsampleConv2dShape& shape,
                                     const Conv2dBackwardWeightArgs<T, float>& args);

// linear.cpp
template <typename T>
void linear(ProductSteps& steps, const LinearShape& shape, const LinearArgs<T>& args);
template <typename T>
void linear_backward(ProductSteps& steps, const LinearShape& shape, const LinearBackwardArgs<T, float>& args);

// attention.cpp
template <typename T>
void attention(ProductSteps& steps, const AttentionShape& shape, const AttentionArgs<T>& args);
template <typename T>
void attention_backward(ProductSteps& steps, const AttentionShape& shape,
                        const AttentionBackwardArgs<T>& args);

}  // namespace ddpm::composed
