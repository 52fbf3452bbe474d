// The dropout mask (Srivastava et al. 2014): a pure function of key, sample and element,
// recomputed wherever it is needed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "device/host_device.h"
#include "kernels/random.h"

namespace ddpm {

// An element is dropped if its 16 random bits are below this: the rate to the nearest multiple of 2^-16, less
// than 1. Sixteen bits, because a kernel with dropout spends most of its instructions on the generator.
inline uint32_t dropout_threshold(double rate) {
  return static_cast<uint32_t>(std::clamp(std::lround(rate * 0x1p16), 0L, 0xFFFFL));
}

// What the others are multiplied by: one over the probability with which they are kept.
inline double dropout_kept_scale(uint32_t threshold) { return 1 / (1 - threshold * 0x1p-16); }

// Elements for which one call of random_bits4(key, sample, block) is enough: 8 block .. 8 block + 7.
inline constexpr int kDropoutBlock = 8;

// The 16 bits of the block's element i.
DDPM_HOST_DEVICE constexpr uint32_t dropout_bits(const U32x4& block, int i) {
  const uint32_t word = block[i / 2];
  return i % 2 == 0 ? word & 0xFFFFu : word >> 16;
}

}  // namespace ddpm
