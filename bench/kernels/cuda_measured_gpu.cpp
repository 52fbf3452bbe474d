#include <cuda_runtime_api.h>

#include <cstdio>

#include "bench/kernels/measured_gpu.h"
#include "device/cuda_check.h"

namespace ddpm {

MeasuredSizes measured_sizes() {
  return {.flush_bytes = size_t{256} << 20,
          .copy_bytes = size_t{1} << 30,
          .peak_side = 8192,
          .warm_ups = 3,
          .iterations = 50,
          .median_runs = 20};
}

MeasuredGpu measured_gpu() {
  cudaDeviceProp device{};
  DDPM_CUDA_CHECK(cudaGetDeviceProperties(&device, 0));
  return {.name = device.name, .l2_cache_bytes = device.l2CacheSize, .emulated = false};
}

bool find_gpu() {
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaSuccess && count > 0) return true;
  std::printf("no GPU, measuring nothing: %s\n", cudaGetErrorString(code));
  return false;
}

}  // namespace ddpm
