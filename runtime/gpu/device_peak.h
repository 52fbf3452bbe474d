// What a GPU can do at the most, from what the driver says of it.
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

// Operations a second at the highest clock, which a GPU does not keep under load. Known of the generations of
// A100 and H100 (CUDA C++ Programming Guide, "Arithmetic Instructions", and their white papers for the tensor
// cores); consumer GPUs of one generation differ among themselves.
DevicePeak device_peak(const GpuProperties& properties, ComputePrecision precision);

}  // namespace ddpm
