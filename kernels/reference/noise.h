// Random numbers in bulk: the noise and the dropout masks of an image.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/dropout.h"
#include "kernels/random.h"

namespace ddpm::reference {

// out[e] = the standard normal of element e of `sample`, for e in [0, count).
template <typename T>
void fill_normal(RandomKey key, uint64_t sample, int64_t count, T* out) {
  for (int64_t first = 0; first < count; first += 4) {
    const F32x4 z = normal4(key, sample, uint32_t(first / 4));
    for (int l = 0; l < std::min<int64_t>(4, count - first); ++l) out[first + l] = T(z[l]);
  }
}

// out[e] = 0 if element e is dropped, else the scale of the kept elements.
template <typename T>
void fill_dropout_mask(RandomKey key, uint64_t sample, double rate, int64_t count, T* out) {
  const uint32_t threshold = dropout_threshold(rate);
  const T kept = T(dropout_kept_scale(threshold));
  for (int64_t first = 0; first < count; first += kDropoutBlock) {
    const U32x4 bits = random_bits4(key, sample, uint32_t(first / kDropoutBlock));
    for (int l = 0; l < std::min<int64_t>(kDropoutBlock, count - first); ++l)
      out[first + l] = dropout_bits(bits, l) < threshold ? T{0} : kept;
  }
}

}  // namespace ddpm::reference
