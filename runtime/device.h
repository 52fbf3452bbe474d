// The user's choice of device and precision (resolved by runtime/choose_executor.h).
#pragma once

#include <cstdint>
#include <string_view>

namespace ddpm {

enum class Device : uint8_t { kAuto, kCpu, kCuda };

std::string_view device_name(Device device);
Device parse_device(std::string_view name);

// The type of activations and of the weights that layers compute with. Sums, master weights and optimizer
// states are float in either precision.
enum class ComputePrecision : uint8_t {
  kAuto,  // bf16 on a GPU, fp32 on the CPU
  kFp32,
  kBf16,  // GPU only
};

std::string_view precision_name(ComputePrecision precision);
ComputePrecision parse_precision(std::string_view name);

// A device's theoretical peak; 0: unknown.
struct DevicePeak {
  double flops_per_second = 0;  // of matrix multiplication in the chosen precision
  double bytes_per_second = 0;  // memory bandwidth
};

}  // namespace ddpm
