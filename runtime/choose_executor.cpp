#include "runtime/choose_executor.h"

#include "runtime/cpu/cpu_executor.h"
#include "runtime/gpu/backend.h"
#include "support/error.h"

namespace ddpm {
namespace {

ExecutorChoice choose_cpu(ComputePrecision precision, const std::string& why) {
  if (precision == ComputePrecision::kBf16)
    throw_input("precision bf16 needs a GPU{}: use fp32 on the CPU", why.empty() ? "" : " (" + why + ")");
  return {.description = why.empty() ? "cpu, fp32" : fmt::format("cpu, fp32 (no GPU is used: {})", why)};
}

}  // namespace

ExecutorChoice choose_executor(Device device, ComputePrecision precision, const GpuOptions& gpu) {
  if (device == Device::kCpu) return choose_cpu(precision, "");
  if (const std::string why = gpu_problem(); !why.empty()) {
    if (device == Device::kCuda) throw_input("--device cuda: {}; use --device cpu", why);
    return choose_cpu(precision, why);
  }
  const ComputePrecision chosen = precision == ComputePrecision::kAuto ? ComputePrecision::kBf16 : precision;
  return {.device = Device::kCuda,
          .precision = chosen,
          .description = fmt::format("{}, {}", gpu_name(), precision_name(chosen)),
          .peak = gpu_peak(chosen),
          .free_bytes = gpu_free_memory(),
          .gpu = gpu};
}

int64_t free_device_memory(const ExecutorChoice& choice) {
  return choice.device == Device::kCpu ? 0 : gpu_free_memory();
}

ExecutorFactory make_executors(const ExecutorChoice& choice, const LogLine& log) {
  DDPM_CHECK(choice.device != Device::kAuto && choice.precision != ComputePrecision::kAuto);
  return choice.device == Device::kCpu ? ExecutorFactory(make_cpu_executor)
                                       : gpu_executors(choice.precision, choice.gpu, log);
}

}  // namespace ddpm
