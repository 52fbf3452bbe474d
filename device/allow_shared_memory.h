// What launch() does before a kernel that uses dynamic shared memory; CUDA only.
#pragma once

#include "device/launch_config.h"

namespace ddpm::detail {

// Raises the kernel's limit of dynamic shared memory, once in a process, to all that the current device can
// give it, so that launches of any size may stand in one graph. Only sets an attribute of the function, so
// it may be called while a stream is captured. LaunchError where the launch asks for more.
void allow_shared_memory(const void* kernel, const LaunchConfig& config);

}  // namespace ddpm::detail
