#include "runtime/choose_executor.h"

#include "runtime/cpu/cpu_executor.h"
#include "support/error.h"

#ifdef DDPM_HAVE_CUDA_BACKEND
#include "runtime/gpu/backend.h"
#endif

namespace ddpm {
namespace {

#ifdef DDPM_HAVE_CUDA_BACKEND
std::string why_no_gpu() { return gpu_problem(); }
std::string name_of_gpu() { return gpu_name(); }
DevicePeak peak_of_gpu(ComputePrecision precision) { return gpu_peak(precision); }
int64_t free_memory_of_gpu() { return gpu_free_memory(); }
ExecutorFactory executors_of_gpu(const ExecutorChoice& choice, const LogLine& log) {
  return gpu_executors(choice.precision, choice.gpu, log);
}
#else
std::string why_no_gpu() { return "this program was built without CUDA"; }
std::string name_of_gpu() { return {}; }
DevicePeak peak_of_gpu(ComputePrecision) { return {}; }
int64_t free_memory_of_gpu() { return 0; }
ExecutorFactory executors_of_gpu(const ExecutorChoice&, const LogLine&) {
  throw LogicError("there is no GPU backend");
}
#endif

ExecutorChoice choose_cpu(ComputePrecision precision, const std::string& why) {
  if (precision == ComputePrecision::kBf16)
    throw_input("precision bf16 is for the GPU{}: the CPU computes in fp32",
                why.empty() ? "" : " (" + why + ")");
  return {.description = why.empty() ? "cpu, fp32" : fmt::format("cpu, fp32 (no GPU is used: {})", why)};
}

}  // namespace

ExecutorChoice choose_executor(Device device, ComputePrecision precision, const GpuOptions& gpu) {
  if (device == Device::kCpu) return choose_cpu(precision, "");
  if (const std::string why = why_no_gpu(); !why.empty()) {
    if (device == Device::kCuda) throw_input("--device cuda: {}; use --device cpu", why);
    return choose_cpu(precision, why);
  }
  const ComputePrecision chosen = precision == ComputePrecision::kAuto ? ComputePrecision::kBf16 : precision;
  return {.device = Device::kCuda,
          .precision = chosen,
          .description = fmt::format("{}, {}", name_of_gpu(), precision_name(chosen)),
          .peak = peak_of_gpu(chosen),
          .free_bytes = free_memory_of_gpu(),
          .gpu = gpu};
}

int64_t free_device_memory(const ExecutorChoice& choice) {
  return choice.device == Device::kCpu ? 0 : free_memory_of_gpu();
}

ExecutorFactory make_executors(const ExecutorChoice& choice, const LogLine& log) {
  DDPM_CHECK(choice.device != Device::kAuto && choice.precision != ComputePrecision::kAuto);
  return choice.device == Device::kCpu ? ExecutorFactory(make_cpu_executor) : executors_of_gpu(choice, log);
}

}  // namespace ddpm
