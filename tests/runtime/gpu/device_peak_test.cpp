// Peaks computed from the driver's numbers, compared with NVIDIA's data sheets at the same clocks.
#include "runtime/gpu/device_peak.h"

#include <gtest/gtest.h>

namespace ddpm {
namespace {

TEST(DevicePeak, MatchesTheDataSheets) {
  // H100 SXM: 989.4 TFLOP/s bf16 and 66.9 fp32 at 1830 and 1980 MHz, 3.35 TB/s.
  const GpuProperties h100{90, 132, 1.83e9, 2.619e9, 5120};
  EXPECT_NEAR(device_peak(h100, ComputePrecision::kBf16).flops_per_second, 989.4e12, 0.1e12);
  EXPECT_NEAR(device_peak(h100, ComputePrecision::kBf16).bytes_per_second, 3.35e12, 0.01e12);
  const GpuProperties boosted{90, 132, 1.98e9, 2.619e9, 5120};
  EXPECT_NEAR(device_peak(boosted, ComputePrecision::kFp32).flops_per_second, 66.9e12, 0.1e12);
  // A100 40 GB: 312 TFLOP/s bf16 and 19.5 fp32 at 1410 MHz, 1555 GB/s.
  const GpuProperties a100{80, 108, 1.41e9, 1.215e9, 5120};
  EXPECT_NEAR(device_peak(a100, ComputePrecision::kBf16).flops_per_second, 312e12, 0.5e12);
  EXPECT_NEAR(device_peak(a100, ComputePrecision::kFp32).flops_per_second, 19.5e12, 0.1e12);
  EXPECT_NEAR(device_peak(a100, ComputePrecision::kFp32).bytes_per_second, 1.555e12, 0.001e12);
}

TEST(DevicePeak, IsZeroForUnknownGpus) {
  EXPECT_EQ(device_peak({89, 128, 2.52e9, 10.5e9, 384}, ComputePrecision::kBf16).flops_per_second, 0);
}

}  // namespace
}  // namespace ddpm
