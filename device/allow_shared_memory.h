// Raises a kernel's dynamic shared memory limit before launch(); CUDA only.
#pragma once

#include "device/launch_config.h"

namespace ddpm::detail {

// Raises the kernel's limit of dynamic shared memory, once per process, to the most that the current device
// supports, so that one graph can hold launches of any size. It only sets a function attribute, so it is safe
// during stream capture. Throws LaunchError if the launch needs more.
void allow_shared_memory(const void* kernel, const LaunchConfig& config);

}  // namespace ddpm::detail
