// What is asked of the libraries of a GPU's vendor: one convolution, one matrix product. ComposedProducts
// makes the network's layers of them. Depends on runtime/products/problems.h, kernels/device/stream.h.
#pragma once

#include "kernels/device/stream.h"
#include "runtime/products/problems.h"

namespace ddpm {

// x (N,H,W,C), w (K,R,R,C), y (N,P,Q,K) in device memory, 16-byte aligned; the direction says which is
// written.
struct ConvolutionTensors {
  const void* x;
  const void* w;
  const void* y;
};

class ProductPrimitives {
 public:
  virtual ~ProductPrimitives() = default;

  // Makes ready for these problems, once, before the first call; InputError names one that has no solution.
  virtual void prepare(const ProductProblems& problems, StreamView stream) = 0;

  // Asynchronous on the stream, for problems made ready for. a, b and c are 16-byte aligned device memory,
  // from which the problem's operands count.
  virtual void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                           StreamView stream) = 0;
  virtual void matrix_product(const MatrixProblem& problem, const void* a, const void* b, void* c,
                              StreamView stream) = 0;
};

}  // namespace ddpm
