// The CUDA language for a host compiler; ddpm_add_emulated_kernels includes it before the first line of a .cu
// file. CUDA's own headers are not used even where installed, so that every machine compiles the same code.
// `__shared__` is not defined: kernels use device/shared_memory.h.
#pragma once

#define DDPM_EMULATOR 1

// NOLINTBEGIN(bugprone-reserved-identifier): CUDA chose these names
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
// NOLINTEND(bugprone-reserved-identifier)

#include "device/emulator/atomics.h"
#include "device/emulator/built_ins.h"
#include "device/emulator/kernel_interface.h"
#include "device/emulator/math.h"
#include "device/emulator/synchronization.h"
