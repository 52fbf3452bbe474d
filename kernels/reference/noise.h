// Random numbers by the row: an image's noise and dropout masks, from the counters of kernels/random.h.
// Depends on that header alone.
#pragma once

#include <algorithm>
#include <cstdint>

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

// out[e] = 0 with probability `rate`, else 1 / (1 - rate).
template <typename T>
void fill_dropout_mask(RandomKey key, uint64_t sample, double rate, int64_t count, T* out) {
  const T kept = T(1 / (1 - rate));
  for (int64_t first = 0; first < count; first += 4) {
    const U32x4 bits = random_bits4(key, sample, uint32_t(first / 4));
    for (int l = 0; l < std::min<int64_t>(4, count - first); ++l)
      out[first + l] = bernoulli(bits[l], float(rate)) ? T{0} : kept;
  }
}

}  // namespace ddpm::reference
