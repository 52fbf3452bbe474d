// The interface to a GPU vendor's libraries: one convolution, one GEMM. Implemented by cuda_library.cpp
// (cuDNN and cuBLASLt) and, for the emulated GPU, by runtime/gpu/plain_library.cpp.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "device/stream.h"
#include "runtime/library/library_problems.h"
#include "support/error_types.h"

namespace ddpm {

// x (N,H,W,C), w (K,R,R,C), y (N,P,Q,K) in device memory, 16-byte aligned; the direction says which is
// written. bias (K) and residual (like y) are null for problems without them.
struct ConvolutionTensors {
  const void* x;
  const void* w;
  const void* y;
  const void* bias = nullptr;
  const void* residual = nullptr;
};

// The tensors that a GEMM's operands are offsets into, in device memory, 16-byte aligned.
struct GemmTensors {
  const void* a;
  const void* b;
  const void* c = nullptr;     // read if beta is not 0; may be d
  const void* bias = nullptr;  // in the output's type
  void* d;
};

// Alternative ways to compute the same with our kernels and library calls; `key`
// identifies the choice in a cache.
struct Ways {
  std::string key;
  std::vector<std::string> names;
};

// Submits work to a stream.
using LaunchFunction = std::function<void(StreamView)>;

class VendorLibrary {
 public:
  virtual ~VendorLibrary() = default;

  // Prepares for these problems, replacing earlier ones. InputError, naming the problem, if one has no
  // solution; optional fusions may have none.
  virtual void prepare(const LibraryProblems& problems, StreamView stream) = 0;

  // Whether an optional fusion is supported and worth using; valid after prepare().
  virtual bool fuses(const ConvolutionProblem& fused) const = 0;
  virtual bool fuses(const GemmProblem& fused) const = 0;

  // Binds one of the prepared problems to its tensors; valid until the next prepare().
  virtual LaunchFunction bind(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) = 0;
  virtual LaunchFunction bind(const GemmProblem& problem, const GemmTensors& tensors) = 0;

  // Whether this library chooses ways by measuring them.
  virtual bool measures() const { return false; }
  // The index of the way chosen by an earlier measurement.
  virtual std::optional<size_t> known_way(const Ways&) const { return std::nullopt; }
  // Measures the ways and returns the index of the fastest, which known_way() returns from now on. run(i)
  // submits way i to the stream. Requires measures().
  virtual size_t fastest_way(const Ways&, const std::function<void(size_t)>& run, StreamView) {
    static_cast<void>(run);
    throw LogicError("this library does not autotune");
  }
};

}  // namespace ddpm
