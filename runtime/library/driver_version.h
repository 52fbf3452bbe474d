// The version of the GPU driver.
#pragma once

#include <string>

namespace ddpm {

// "13000 580.65.06": the CUDA version that the driver supports, then the driver's own version if the kernel
// reports it. "0" without a driver.
std::string driver_version();

// The driver's own version from the text of /proc/driver/nvidia/version; empty if there is none.
std::string kernel_driver_version(const std::string& text);

}  // namespace ddpm
