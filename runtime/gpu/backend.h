// What GPU executors run on: implemented by runtime/gpu/cuda_backend.cpp and, with the emulator, by
// runtime/gpu/emulated_backend.cpp. A program links one of them: ddpm::cuda_backend or
// ddpm::emulated_backend.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/device.h"
#include "runtime/executor.h"
#include "runtime/gpu_options.h"
#include "support/log_line.h"

namespace ddpm {

// Why nothing can run on the device, as one clause; empty where it can.
std::string gpu_problem();

// "NVIDIA H100 80GB HBM3". There must be one.
std::string gpu_name();

// Bytes of its memory that nobody uses now; 0: no matter, as in the emulator.
int64_t gpu_free_memory();

// Of that GPU.
DevicePeak gpu_peak(ComputePrecision precision);

// `precision` is kFp32 or kBf16. `log` is told while an executor is made: that products are measured, which
// takes long, or that the cache of plans cannot be used. The emulator has no plans to choose among.
ExecutorFactory gpu_executors(ComputePrecision precision, const GpuOptions& options = {},
                              const LogLine& log = {});

}  // namespace ddpm
