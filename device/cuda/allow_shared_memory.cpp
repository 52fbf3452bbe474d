// Raises a kernel's dynamic shared memory limit before launch(); CUDA only.
#include "device/allow_shared_memory.h"

#include "device/cuda_check.h"
#include "device/shared_memory_limits.h"
#include "support/error.h"

namespace ddpm::detail {
namespace {

// A global, because the driver keeps one limit per kernel for the whole process. A context object would have
// to pass through every launcher, and two of them would disagree.
SharedMemoryLimits& limits() {
  static SharedMemoryLimits known;
  return known;
}

// All that a block can have, less what the kernel declares. A high limit costs nothing: how much of a
// multiprocessor a block occupies depends on what the launch requests.
size_t raise_to_most(const void* kernel, int device) {
  int most = 0;
  DDPM_CUDA_CHECK(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  cudaFuncAttributes attributes{};
  DDPM_CUDA_CHECK(cudaFuncGetAttributes(&attributes, kernel));
  const int limit = most - static_cast<int>(attributes.sharedSizeBytes);
  DDPM_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, limit));
  return static_cast<size_t>(limit);
}

}  // namespace

void allow_shared_memory(const void* kernel, const LaunchConfig& config) {
  if (config.shared_bytes == 0) return;
  int device = 0;
  DDPM_CUDA_CHECK(cudaGetDevice(&device));
  const size_t limit =
      limits().at_least(config.shared_bytes, kernel, device, [&] { return raise_to_most(kernel, device); });
  if (config.shared_bytes > limit)
    throw LaunchError(fmt::format(
        "{}:{}: {} bytes of dynamic shared memory requested, this GPU supports at most {} for the kernel",
        config.site.file, config.site.line, config.shared_bytes, limit));
}

}  // namespace ddpm::detail
