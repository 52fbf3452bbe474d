// The choice of device and precision, made once at the start of an app.
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
  // For the app's one line: "NVIDIA H100 80GB HBM3, bf16", or "cpu, fp32 (no GPU: ...)" where kAuto fell
  // back.
  std::string description;
  DevicePeak peak{};       // of a GPU
  int64_t free_bytes = 0;  // of its memory; 0 on the CPU
  GpuOptions gpu{};        // how it computes
};

// What this machine and this build have of what was asked for. kCuda where there is no GPU is an InputError
// that says why, and so is bf16 on the CPU.
ExecutorChoice choose_executor(Device device, ComputePrecision precision, const GpuOptions& gpu = {});

// Bytes of the chosen device's memory that nobody uses now; 0 on the CPU.
int64_t free_device_memory(const ExecutorChoice& choice);

// `log`: see gpu_executors (runtime/gpu/backend.h).
ExecutorFactory make_executors(const ExecutorChoice& choice, const LogLine& log = {});

}  // namespace ddpm
