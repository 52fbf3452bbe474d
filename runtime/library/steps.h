// The steps that a layer is made of, either run or surveyed: a survey goes through the very code that
// runs, so that what was made ready is what will be asked for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "device/memory.h"
#include "runtime/library/primitives.h"

namespace ddpm {

class ProductSteps {
 public:
  virtual ~ProductSteps() = default;

  // Whether the library grants this wish, a problem with a bias. A survey notes it and says no, so that the
  // steps that do without are made ready for too.
  virtual bool fuses(const ConvolutionProblem& wish) = 0;
  virtual bool fuses(const MatrixProblem& wish) = 0;

  virtual void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) = 0;
  virtual void matrix_product(const MatrixProblem& problem, const MatrixTensors& tensors) = 0;
  // One of our kernels, and the bytes that it moves, large arrays only: for an account of the traffic.
  virtual void kernel(double bytes, const std::function<void(StreamView)>& launch) = 0;

  // Uninitialised memory for the rest of this layer, 256-byte aligned.
  template <typename U>
  U* scratch(int64_t count) {
    return static_cast<U*>(scratch_at(take(static_cast<size_t>(count) * sizeof(U))));
  }

 protected:
  // Bytes of scratch that the layer has taken.
  size_t scratch_bytes() const { return taken_; }
  void start_layer() { taken_ = 0; }

 private:
  virtual void* scratch_at(size_t offset) = 0;
  size_t take(size_t bytes) {
    constexpr size_t kAlignment = 256;
    const size_t begin = taken_;
    taken_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return begin;
  }

  size_t taken_ = 0;
};

// Runs one layer's steps on a stream.
class ProductRun final : public ProductSteps {
 public:
  ProductRun(ProductPrimitives& primitives, DeviceSpan<std::byte> scratch, StreamView stream)
      : primitives_(primitives), scratch_(scratch), stream_(stream) {}

  bool fuses(const ConvolutionProblem& wish) override;
  bool fuses(const MatrixProblem& wish) override;
  void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) override;
  void matrix_product(const MatrixProblem& problem, const MatrixTensors& tensors) override;
  void kernel(double bytes, const std::function<void(StreamView)>& launch) override;

 private:
  void* scratch_at(size_t offset) override;

  ProductPrimitives& primitives_;
  DeviceSpan<std::byte> scratch_;
  StreamView stream_;
};

// Notes what layers ask for; pointers are not followed.
class ProductSurvey final : public ProductSteps {
 public:
  void next_layer() {
    problems_.scratch_bytes = std::max(problems_.scratch_bytes, scratch_bytes());
    start_layer();
  }
  const ProductProblems& problems() const { return problems_; }

  bool fuses(const ConvolutionProblem& wish) override;
  bool fuses(const MatrixProblem& wish) override;
  void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) override;
  void matrix_product(const MatrixProblem& problem, const MatrixTensors& tensors) override;
  void kernel(double, const std::function<void(StreamView)>&) override {}

 private:
  void* scratch_at(size_t offset) override;

  ProductProblems problems_;
};

}  // namespace ddpm
