// Prints a JSON description of this machine's GPU and CUDA libraries, to be kept with results; without a GPU
// it says so and exits. --cudnn prints cuDNN's own description of the GPU instead, for making plans on
// machines without one (CudnnDevice::described).
#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "apps/app.h"
#include "apps/command_line.h"
#include "bench/kernels/gpu_benchmark.h"
#include "device/cuda_check.h"
#include "runtime/library/convolution_plan.h"

namespace ddpm {
namespace {

// 13020 -> "13.2"
std::string cuda_version(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

// 91900 -> "9.19.0"
std::string library_version(size_t version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

nlohmann::ordered_json description() {
  cudaDeviceProp device{};
  DDPM_CUDA_CHECK(cudaGetDeviceProperties(&device, 0));
  int driver = 0, runtime = 0;
  DDPM_CUDA_CHECK(cudaDriverGetVersion(&driver));
  DDPM_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  return {{"gpu", device.name},
          {"compute_capability", fmt::format("{}.{}", device.major, device.minor)},
          {"multiprocessors", device.multiProcessorCount},
          {"memory_bytes", device.totalGlobalMem},
          {"l2_cache_bytes", device.l2CacheSize},
          {"driver_cuda", cuda_version(driver)},
          {"cuda", cuda_version(runtime)},
          {"cublasLt", library_version(cublasLtGetVersion())},
          {"cudnn", library_version(cudnnGetVersion())}};
}

int run(int argc, char** argv) {
  CLI::App app("Describes the GPU and the CUDA libraries as JSON", "gpu_description");
  bool cudnn = false;
  app.add_flag("--cudnn", cudnn, "Print cuDNN's description of the GPU, for making plans without one");
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  if (!find_gpu()) return 0;
  if (cudnn) {
    const CudnnHandle handle;
    fmt::print("{}\n", CudnnDevice::present(handle.get()).json());
  } else {
    fmt::print("{}\n", description().dump(1));
  }
  return 0;
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("gpu_description", [&] { return ddpm::run(argc, argv); });
}
