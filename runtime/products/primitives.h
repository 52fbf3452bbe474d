// What is asked of the libraries of a GPU's vendor: one convolution, one matrix product. ComposedProducts
// makes the network's layers of them. Depends on runtime/products/problems.h, kernels/device/stream.h.
#pragma once

#include "kernels/device/stream.h"
#include "runtime/products/problems.h"

namespace ddpm {

// x (N,H,W,C), w (K,R,R,C), y (N,P,Q,K) in device memory, 16-byte aligned; the direction says which is
// written. bias (K) and residual like y where the problem has them, null elsewhere.
struct ConvolutionTensors {
  const void* x;
  const void* w;
  const void* y;
  const void* bias = nullptr;
  const void* residual = nullptr;
};

// Where a matrix product's operands count from, in device memory, 16-byte aligned.
struct MatrixTensors {
  const void* a;
  const void* b;
  const void* c = nullptr;     // read where beta is not 0; may be d
  const void* bias = nullptr;  // of the output's type
  void* d;
};

class ProductPrimitives {
 public:
  virtual ~ProductPrimitives() = default;

  // Makes ready for these problems, once, before the first call; InputError names one that has no solution,
  // wishes excepted.
  virtual void prepare(const ProductProblems& problems, StreamView stream) = 0;

  // Whether this wish is granted; known after prepare().
  virtual bool fuses(const ConvolutionProblem& wish) const = 0;
  virtual bool fuses(const MatrixProblem& wish) const = 0;

  // Asynchronous on the stream, for problems made ready for.
  virtual void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                           StreamView stream) = 0;
  virtual void matrix_product(const MatrixProblem& problem, const MatrixTensors& tensors,
                              StreamView stream) = 0;
};

}  // namespace ddpm
