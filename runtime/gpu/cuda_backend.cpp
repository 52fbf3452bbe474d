// The CUDA backend: our kernels, cuDNN and cuBLASLt.
#include <cuda_runtime_api.h>

#include "device/cuda_check.h"
#include "runtime/executor.h"
#include "runtime/gpu/backend.h"
#include "runtime/gpu/device_peak.h"
#include "runtime/gpu/gpu_device.h"
#include "runtime/library/cuda_library_options.h"
#include "support/error.h"

namespace ddpm {
namespace {

// The oldest architecture that the kernels are compiled for.
constexpr int kLeastMajor = DDPM_CUDA_LEAST_ARCHITECTURE / 10;
constexpr int kLeastMinor = DDPM_CUDA_LEAST_ARCHITECTURE % 10;

cudaDeviceProp properties() {
  cudaDeviceProp found{};
  DDPM_CUDA_CHECK(cudaGetDeviceProperties(&found, 0));
  return found;
}

int attribute(cudaDeviceAttr name) {
  int value = 0;
  DDPM_CUDA_CHECK(cudaDeviceGetAttribute(&value, name, 0));
  return value;
}

}  // namespace

std::string gpu_problem() {
  int count = 0;  // unchanged by the call if there is no driver
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaErrorInsufficientDriver || code == cudaErrorNoDevice || (code == cudaSuccess && count == 0))
    return "this machine has no NVIDIA GPU, or its driver does not support CUDA 13";
  if (code != cudaSuccess) return fmt::format("CUDA cannot use the GPU ({})", cudaGetErrorString(code));
  const cudaDeviceProp found = properties();
  if (found.major * 10 + found.minor < DDPM_CUDA_LEAST_ARCHITECTURE)
    return fmt::format(
        "{} has compute capability {}.{}, but this program was built for {}.{} and newer: rebuild it with "
        "CMAKE_CUDA_ARCHITECTURES set",
        found.name, found.major, found.minor, kLeastMajor, kLeastMinor);
  return {};
}

std::string gpu_name() { return properties().name; }

int64_t gpu_free_memory() {
  size_t free = 0, all = 0;
  DDPM_CUDA_CHECK(cudaMemGetInfo(&free, &all));
  return static_cast<int64_t>(free);
}

DevicePeak gpu_peak(ComputePrecision precision) {
  constexpr double kKilohertz = 1e3;
  return device_peak({.compute_capability = attribute(cudaDevAttrComputeCapabilityMajor) * 10 +
                                            attribute(cudaDevAttrComputeCapabilityMinor),
                      .multiprocessors = attribute(cudaDevAttrMultiProcessorCount),
                      .clock = attribute(cudaDevAttrClockRate) * kKilohertz,
                      .memory_clock = attribute(cudaDevAttrMemoryClockRate) * kKilohertz,
                      .memory_bits = attribute(cudaDevAttrGlobalMemoryBusWidth)},
                     precision);
}

ExecutorFactory gpu_executors(ComputePrecision precision, const GpuOptions& options, const LogLine& log) {
  DDPM_CHECK(precision != ComputePrecision::kAuto);
  const auto make_device =
      precision == ComputePrecision::kBf16 ? make_gpu_device<BFloat16> : make_gpu_device<float>;
  return [make_device, upsample = options.upsample,
          library = cuda_library_options(options, log)](Program program) {
    return std::make_unique<Executor>(std::move(program),
                                      make_device(make_cuda_library(library), upsample, Stream()));
  };
}

}  // namespace ddpm
