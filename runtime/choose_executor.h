// Picks the device and precision once, when an app starts.
#pragma once

#include <string>

#include "runtime/device.h"
#include "runtime/executor.h"
#include "runtime/gpu_options.h"
#include "support/log_line.h"

namespace ddpm {

struct ExecutorChoice {
  Device device = Device::kCpu;  // kCpu or kCuda
  ComputePrecision precision = ComputePrecision::kFp32;
  // For the log: "NVIDIA H100 80GB HBM3, bf16", or "cpu, fp32 (no GPU is used: ...)" if kAuto fell back.
  std::string description;
  DevicePeak peak{};       // of a GPU; unknown on the CPU
  int64_t free_bytes = 0;  // of the GPU's memory; 0 on the CPU
  GpuOptions gpu{};
};

// Resolves kAuto against this machine and build. InputError, with the reason, for kCuda without a usable GPU
// and for bf16 on the CPU.
ExecutorChoice choose_executor(Device device, ComputePrecision precision, const GpuOptions& gpu = {});

// Free bytes of the chosen GPU's memory; 0 on the CPU.
int64_t free_device_memory(const ExecutorChoice& choice);

// `log`: see gpu_executors (runtime/gpu/backend.h).
ExecutorFactory make_executors(const ExecutorChoice& choice, const LogLine& log = {});

}  // namespace ddpm
