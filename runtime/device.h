// Which executor runs a program. Depends on runtime/executor.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "runtime/executor.h"

namespace ddpm {

enum class Device : uint8_t { kAuto, kCpu, kCuda };

std::string_view device_name(Device device);
Device parse_device(std::string_view name);

// kAuto becomes what this machine and this build have. kCuda where there is none is an InputError that says
// why.
Device resolve_device(Device device);

// `device` must be resolved.
std::unique_ptr<Executor> make_executor(Program program, Device device);

}  // namespace ddpm
