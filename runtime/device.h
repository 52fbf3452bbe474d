// Where a program runs and in which precision, as users choose it. Who then runs it is
// runtime/choose_executor.h.
#pragma once

#include <cstdint>
#include <string_view>

namespace ddpm {

enum class Device : uint8_t { kAuto, kCpu, kCuda };

std::string_view device_name(Device device);
Device parse_device(std::string_view name);

// The type of activations and of the weights computed with; sums, master weights and optimiser states are
// float either way.
enum class ComputePrecision : uint8_t {
  kAuto,  // bf16 on a GPU, fp32 on the CPU
  kFp32,
  kBf16,  // GPU only
};

std::string_view precision_name(ComputePrecision precision);
ComputePrecision parse_precision(std::string_view name);

// What a device can do at the most, by its data sheet's formula; 0: not known.
struct DevicePeak {
  double flops_per_second = 0;  // of matrix products in the precision that is computed in
  double bytes_per_second = 0;  // of its memory
};

}  // namespace ddpm
