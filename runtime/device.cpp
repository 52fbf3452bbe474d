#include "runtime/device.h"

#include <utility>

#include "runtime/cpu_executor.h"
#include "support/enum_names.h"

namespace ddpm {
namespace {

constexpr EnumName<Device> kDeviceNames[] = {
    {Device::kAuto, "auto"}, {Device::kCpu, "cpu"}, {Device::kCuda, "cuda"}};

}  // namespace

std::string_view device_name(Device device) { return enum_name(kDeviceNames, device); }
Device parse_device(std::string_view name) { return parse_enum(kDeviceNames, "device", name); }

Device resolve_device(Device device) {
  if (device == Device::kCuda)
    throw_input("--device cuda: this build has no CUDA executor yet; use --device cpu");
  return Device::kCpu;
}

std::unique_ptr<Executor> make_executor(Program program, Device device) {
  DDPM_CHECK(device == Device::kCpu);
  return std::make_unique<CpuExecutor<float>>(std::move(program));
}

}  // namespace ddpm
