#include "kernels/cuda/check_arguments.h"

#include "support/error.h"

namespace ddpm::cuda {

void require_multiple(const char* kernel, const char* what, int64_t value, int64_t factor) {
  if (value > 0 && value % factor == 0) return;
  throw_input("{}: {} is {}; the GPU kernel needs a positive multiple of {}", kernel, what, value, factor);
}

void require_in_range(const char* kernel, const char* what, int64_t value, int64_t least, int64_t largest) {
  if (value >= least && value <= largest) return;
  throw_input("{}: {} is {}; the GPU kernel needs a value in [{}, {}]", kernel, what, value, least, largest);
}

void require_positive(const char* kernel, const char* what, double value) {
  if (value > 0) return;
  throw_input("{}: {} is {}; the GPU kernel needs a positive number", kernel, what, value);
}

}  // namespace ddpm::cuda
