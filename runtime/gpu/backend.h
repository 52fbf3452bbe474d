// The GPU backend. Each program links one implementation: ddpm::gpu_backend (cuda_backend.cpp, or
// no_backend.cpp in a build without CUDA) or ddpm::emulated_backend (emulated_backend.cpp).
#pragma once

#include <cstdint>
#include <string>

#include "runtime/device.h"
#include "runtime/executor.h"
#include "runtime/gpu_options.h"
#include "support/log_line.h"

namespace ddpm {

// Why the GPU cannot be used, as one clause; empty if it can.
std::string gpu_problem();

// "NVIDIA H100 80GB HBM3". Requires a usable GPU, as do the functions below.
std::string gpu_name();

// Free bytes of the GPU's memory; 0 in the emulator.
int64_t gpu_free_memory();

// The GPU's peak; unknown in the emulator.
DevicePeak gpu_peak(ComputePrecision precision);

// Executors in kFp32 or kBf16. While one is made, `log` receives lines about autotuning, which may
// take minutes, and about a plan cache that cannot be used. The emulator has no plans and ignores
// all options but `upsample`.
ExecutorFactory gpu_executors(ComputePrecision precision, const GpuOptions& options = {},
                              const LogLine& log = {});

}  // namespace ddpm
