// Which driver runs the GPU.
#pragma once

#include <string>

namespace ddpm {

// "13000 580.65.06": the CUDA version that the driver supports, then the driver's own, where the kernel tells
// it. "0" where there is no driver.
std::string driver_version();

// The driver's own version out of /proc/driver/nvidia/version; empty where there is none.
std::string kernel_driver_version(const std::string& text);

}  // namespace ddpm
