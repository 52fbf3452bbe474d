// Values for tensors that products are tried on. Depends on kernels/device/memory.h.
#pragma once

#include <cstddef>

#include "kernels/device/memory.h"

namespace ddpm {

// Values as a network has them, uniform in (-1, 1) in bf16 and, read as float, in (-1, 1) too: a GPU draws
// less power on constant bits, and then clocks higher than in earnest. The same in every run.
class TrialValues {
 public:
  // largest_bytes: of the largest buffer to be filled.
  TrialValues(size_t largest_bytes, StreamView stream);

  // Again and again. Asynchronous.
  void fill(DeviceSpan<std::byte> buffer, StreamView stream) const;

 private:
  DeviceBuffer<std::byte> pattern_;
};

}  // namespace ddpm
