// Values for the tensors of autotuning trials.
#pragma once

#include <cstddef>

#include "device/memory.h"

namespace ddpm {

// Values like a network's, uniform in (-1, 1) in bf16 and, read as float, in (-1, 1) too: on constant bits a
// GPU draws less power and clocks higher than in real use. The same in every run.
//
// The tensors of one problem must hold different values: otherwise the diagonal of a weight gradient would be
// a sum of squares, which grows faster than a network's sums do, and tensor cores, which truncate, would lose
// more of it than ResultCheck allows.
class TrialValues {
 public:
  // largest_bytes: the size of the largest buffer to fill.
  TrialValues(size_t largest_bytes, StreamView stream);

  // Fills the buffer with the repeated pattern, from a different place on for each `tensor` of a problem,
  // counted from 0. Asynchronous.
  void fill(DeviceSpan<std::byte> buffer, StreamView stream, size_t tensor = 0) const;

 private:
  DeviceBuffer<std::byte> pattern_;
};

}  // namespace ddpm
