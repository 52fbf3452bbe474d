#include "device/cuda_check.h"

#include "support/error.h"

namespace ddpm::detail {

void throw_cuda_error(cudaError_t code, const char* expression, const char* file, int line) {
  // A failed launch also leaves its code as the "last error"; clear it, so that no later check
  // reports it again.
  static_cast<void>(cudaGetLastError());
  throw CudaError(fmt::format("{}:{}: {} failed with {} ({}): {}", file, line, expression,
                              cudaGetErrorName(code), static_cast<int>(code), cudaGetErrorString(code)),
                  static_cast<int>(code));
}

}  // namespace ddpm::detail
