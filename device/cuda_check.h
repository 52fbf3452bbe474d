// Error checks for CUDA runtime calls.
#pragma once

#include <cuda_runtime_api.h>

#include <cassert>

#include "device/cuda_error.h"

namespace ddpm::detail {

// Out of line, so that a check costs its caller only a comparison.
[[noreturn]] void throw_cuda_error(cudaError_t code, const char* expression, const char* file, int line);

inline void check_cuda(cudaError_t code, const char* expression, const char* file, int line) {
  if (code != cudaSuccess) [[unlikely]]
    throw_cuda_error(code, expression, file, line);
}

// For destructors, which cannot throw and must not print. No error is lost: one that outlives the call (a
// kernel fault) is returned by every later call too, and at exit the driver may already be gone.
inline void ignore_cuda(cudaError_t code) noexcept {
  assert(code == cudaSuccess || code == cudaErrorCudartUnloading);
  static_cast<void>(code);
}

}  // namespace ddpm::detail

// Evaluates the expression once; throws CudaError unless it is cudaSuccess.
#define DDPM_CUDA_CHECK(expression) ::ddpm::detail::check_cuda((expression), #expression, __FILE__, __LINE__)

// Evaluates the expression once; for destructors.
#define DDPM_CUDA_CHECK_NOTHROW(expression) ::ddpm::detail::ignore_cuda(expression)
