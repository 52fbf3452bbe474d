#include "runtime/device.h"

#include "support/enum_names.h"

namespace ddpm {
namespace {

constexpr EnumName<Device> kDeviceNames[] = {
    {Device::kAuto, "auto"}, {Device::kCpu, "cpu"}, {Device::kCuda, "cuda"}};
constexpr EnumName<ComputePrecision> kPrecisionNames[] = {
    {ComputePrecision::kAuto, "auto"}, {ComputePrecision::kFp32, "fp32"}, {ComputePrecision::kBf16, "bf16"}};

}  // namespace

std::string_view device_name(Device device) { return enum_name(kDeviceNames, device); }
Device parse_device(std::string_view name) { return parse_enum(kDeviceNames, "device", name); }

std::string_view precision_name(ComputePrecision precision) { return enum_name(kPrecisionNames, precision); }
ComputePrecision parse_precision(std::string_view name) {
  return parse_enum(kPrecisionNames, "precision", name);
}

}  // namespace ddpm
