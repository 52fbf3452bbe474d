// What is asked of the libraries of a GPU's vendor: one convolution, one matrix product. ComposedProducts
// makes the network's layers of them.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "device/stream.h"
#include "runtime/library/problems.h"
#include "support/error_types.h"

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

// Several ways of ours to do the same with primitives, known by a text.
struct Ways {
  std::string key;
  std::vector<std::string> names;
};

class ProductPrimitives {
 public:
  virtual ~ProductPrimitives() = default;

  // Makes ready for these problems, in place of those before, ahead of the first call; InputError names one
  // that has no solution, wishes excepted.
  virtual void prepare(const ProductProblems& problems, StreamView stream) = 0;

  // Whether this wish is granted; known after prepare().
  virtual bool fuses(const ConvolutionProblem& wish) const = 0;
  virtual bool fuses(const MatrixProblem& wish) const = 0;

  // Whether ways are chosen by measuring them.
  virtual bool measures() const { return false; }
  // The index of the way that an earlier measurement chose.
  virtual std::optional<size_t> known_way(const Ways&) const { return std::nullopt; }
  // Of the fastest now, which is known from here on; run(i) gives way i to the stream. Only where ways are
  // measured.
  virtual size_t fastest_way(const Ways&, const std::function<void(size_t)>& run, StreamView) {
    static_cast<void>(run);
    throw LogicError("these primitives measure nothing");
  }

  // Asynchronous on the stream, for problems made ready for.
  virtual void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                           StreamView stream) = 0;
  virtual void matrix_product(const MatrixProblem& problem, const MatrixTensors& tensors,
                              StreamView stream) = 0;
};

}  // namespace ddpm
