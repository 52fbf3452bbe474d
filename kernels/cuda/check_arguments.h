// Argument checks shared by the launchers, for limits of the kernels.
#pragma once

#include <cstdint>

namespace ddpm::cuda {

// Throw InputError naming the kernel, the argument and its value.
void require_multiple(const char* kernel, const char* what, int64_t value, int64_t factor);
void require_in_range(const char* kernel, const char* what, int64_t value, int64_t least, int64_t largest);
void require_positive(const char* kernel, const char* what, double value);

}  // namespace ddpm::cuda
