// A GPU's theoretical peak, from its driver's properties.
#pragma once

#include "runtime/device.h"

namespace ddpm {

struct GpuProperties {
  int compute_capability = 0;  // 90: 9.0
  int multiprocessors = 0;
  double clock = 0;         // Hz, the highest
  double memory_clock = 0;  // Hz; data moves on both edges
  int memory_bits = 0;      // width of the bus
};

// FLOP/s at the highest clock, which a GPU does not sustain under load. Known for the generations of A100 and
// H100 only: CUDA C++ Programming Guide, "Arithmetic Instructions", and NVIDIA's white papers for tensor
// cores. Consumer GPUs of one generation differ.
DevicePeak device_peak(const GpuProperties& properties, ComputePrecision precision);

}  // namespace ddpm
