// The primitives of a GPU's libraries as plain loops in double, rounded once, for device memory that is
// host memory: what runs the composed products under the emulator.
#pragma once

#include <cstdint>

#include "runtime/library/primitives.h"

namespace ddpm {

// Which wishes (ProductProblems) are granted.
enum class Fusion : uint8_t { kNone, kAll };

// Refuses problems that prepare() was not told of and tensors that are not aligned (LogicError).
class PlainPrimitives final : public ProductPrimitives {
 public:
  explicit PlainPrimitives(Fusion fusion = Fusion::kAll) : fusion_(fusion) {}

  void prepare(const ProductProblems& problems, StreamView stream) override;
  bool fuses(const ConvolutionProblem&) const override { return fusion_ == Fusion::kAll; }
  bool fuses(const MatrixProblem&) const override { return fusion_ == Fusion::kAll; }
  void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                   StreamView stream) override;
  void matrix_product(const MatrixProblem& problem, const MatrixTensors& tensors, StreamView stream) override;

 private:
  Fusion fusion_;
  ProductProblems prepared_;
};

}  // namespace ddpm
