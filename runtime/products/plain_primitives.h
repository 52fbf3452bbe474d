// The primitives of a GPU's libraries as plain loops in double, rounded once, for device memory that is host
// memory: what runs the composed products under the emulator. Depends on runtime/products/primitives.h,
// kernels/reference and the emulator, whose streams order the work.
#pragma once

#include "runtime/products/primitives.h"

namespace ddpm {

// Refuses problems that prepare() was not told of and tensors that are not aligned (LogicError).
class PlainPrimitives final : public ProductPrimitives {
 public:
  void prepare(const ProductProblems& problems, StreamView stream) override;
  void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                   StreamView stream) override;
  void matrix_product(const MatrixProblem& problem, const void* a, const void* b, void* c,
                      StreamView stream) override;

 private:
  ProductProblems prepared_;
};

}  // namespace ddpm
