// Values for tensors that products are tried on.
#pragma once

#include <cstddef>

#include "device/memory.h"

namespace ddpm {

// Values as a network has them, uniform in (-1, 1) in bf16 and, read as float, in (-1, 1) too: a GPU draws
// less power on constant bits, and then clocks higher than in earnest. The same in every run.
//
// Tensors of one product must not hold the same values: the diagonal of a gradient of weights would be a sum
// of squares, which grows as no sum of a network's does, and tensor cores, which cut off, lose more of it
// than a check allows (ResultCheck).
class TrialValues {
 public:
  // largest_bytes: of the largest buffer to be filled.
  TrialValues(size_t largest_bytes, StreamView stream);

  // Again and again; each `tensor` of a product, counted from 0, from another place on. Asynchronous.
  void fill(DeviceSpan<std::byte> buffer, StreamView stream, size_t tensor = 0) const;

 private:
  DeviceBuffer<std::byte> pattern_;
};

}  // namespace ddpm
