// CUDA as the GPU executors' backend: our kernels, and cuDNN and cuBLASLt for the products.
#include <cuda_runtime_api.h>

#include "kernels/device/cuda_check.h"
#include "runtime/gpu/backend.h"
#include "runtime/gpu/gpu_executor.h"
#include "support/error.h"

#if __has_include("runtime/cuda/cuda_products.h")
#include "runtime/cuda/cuda_products.h"
#else
#include "runtime/cuda/cuda_products_stub.h"
#endif

namespace ddpm {
namespace {

// The kernels are compiled for this generation and run on no older one.
constexpr int kLeastMajor = DDPM_CUDA_LEAST_ARCHITECTURE / 10;
constexpr int kLeastMinor = DDPM_CUDA_LEAST_ARCHITECTURE % 10;

template <typename T>
std::unique_ptr<Executor> make_executor(Program program) {
  return std::make_unique<GpuExecutor<T>>(std::move(program), make_cuda_products<T>());
}

cudaDeviceProp properties() {
  cudaDeviceProp found{};
  DDPM_CUDA_CHECK(cudaGetDeviceProperties(&found, 0));
  return found;
}

}  // namespace

std::string gpu_problem() {
  int count = 0;  // the call leaves it as it is where there is no driver
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaErrorInsufficientDriver || code == cudaErrorNoDevice || (code == cudaSuccess && count == 0))
    return "this machine has no NVIDIA GPU, or no driver of CUDA 13 for it";
  if (code != cudaSuccess) return fmt::format("the GPU does not answer ({})", cudaGetErrorString(code));
  const cudaDeviceProp found = properties();
  if (found.major * 10 + found.minor < DDPM_CUDA_LEAST_ARCHITECTURE)
    return fmt::format(
        "{} is of compute capability {}.{}, but this program was built for {}.{}: set "
        "CMAKE_CUDA_ARCHITECTURES",
        found.name, found.major, found.minor, kLeastMajor, kLeastMinor);
  return {};
}

std::string gpu_name() { return properties().name; }

ExecutorFactory gpu_executors(ComputePrecision precision) {
  DDPM_CHECK(precision != ComputePrecision::kAuto);
  return precision == ComputePrecision::kBf16 ? make_executor<BFloat16> : make_executor<float>;
}

}  // namespace ddpm
