// What the network's layers ask of the libraries of a GPU's vendor: one convolution, one GEMM. Implemented by
// cuda_library.cpp (cuDNN and cuBLASLt) and, for the emulated GPU, by runtime/gpu/plain_library.cpp.
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

// x (N,H,W,C), w (K,R,R,C), y (N,P,Q,K) in device memory, 16-byte aligned; the direction says which is written. bias
// (K) and residual like y where the problem has them, null elsewhere.
struct ConvolutionTensors {
  const void* x;
  const void* w;
  const void* y;
  const void* bias = nullptr;
  const void* residual = nullptr;
};

// Where a GEMM's operands count from, in device memory, 16-byte aligned.
struct GemmTensors {
  const void* a;
  const void* b;
  const void* c = nullptr;     // read where beta is not 0; may be d
  const void* bias = nullptr;  // of the output's type
  void* d;
};

// Several ways of ours to do the same with library calls, known by a text.
struct Ways {
  std::string key;
  std::vector<std::string> names;
};

// Gives work to a stream.
using LaunchFunction = std::function<void(StreamView)>;

class VendorLibrary {
 public:
  virtual ~VendorLibrary() = default;

  // Makes ready for these problems, in place of earlier ones; InputError names one that has no solution, optional
  // fusions excepted.
  virtual void prepare(const LibraryProblems& problems, StreamView stream) = 0;

  // Whether an optional fusion is supported, and worth it; known after prepare().
  virtual bool fuses(const ConvolutionProblem& fused) const = 0;
  virtual bool fuses(const GemmProblem& fused) const = 0;

  // A call for one of the problems, ready to be made; valid until the next prepare().
  virtual LaunchFunction bind(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) = 0;
  virtual LaunchFunction bind(const GemmProblem& problem, const GemmTensors& tensors) = 0;

  // Whether ways are chosen by measuring them.
  virtual bool measures() const { return false; }
  // The index of the way that an earlier measurement chose.
  virtual std::optional<size_t> known_way(const Ways&) const { return std::nullopt; }
  // Measures the ways and returns the fastest, which is known from here on; run(i) gives way i to the stream. Only
  // where ways are measured.
  virtual size_t fastest_way(const Ways&, const std::function<void(size_t)>& run, StreamView) {
    static_cast<void>(run);
    throw LogicError("this library does not autotune");
  }
};

}  // namespace ddpm
