// The order of an epoch: a keyed permutation of [0, n), computed one position at a time, never stored.
#pragma once

#include <cstdint>

#include "device/host_device.h"
#include "kernels/random.h"

namespace ddpm {

inline constexpr uint64_t kMaxPermutationSize = uint64_t{1} << 40;

// The index that stands at position i of the permutation `epoch`, for i < n and 1 <= n <= 2^40.
//
// A balanced Feistel network permutes the smallest range [0, 4^h) that holds n (Luby and Rackoff, 1988;
// Philox is the round function); an index outside [0, n) is permuted again until it falls inside, at most
// four times on average (cycle walking: Black and Rogaway, 2002). On a few points a round does little: with
// six rounds the positions of five indices were visibly uneven over a million epochs, with twelve those of
// any n tried were not.
DDPM_HOST_DEVICE constexpr uint64_t permuted_index(uint64_t seed, uint64_t epoch, uint64_t i, uint64_t n) {
  constexpr uint32_t kRounds = 12;
  uint32_t half_bits = 1;
  while ((uint64_t{1} << (2 * half_bits)) < n) ++half_bits;
  const uint32_t half_mask = (1u << half_bits) - 1;
  const RandomKey key = random_key(seed, RandomStream::kEpochOrder);
  do {
    uint32_t left = static_cast<uint32_t>(i >> half_bits);
    uint32_t right = static_cast<uint32_t>(i) & half_mask;
    for (uint32_t round = 0; round < kRounds; ++round) {
      const uint32_t mixed = random_bits4(key, epoch, (round << 20) | right)[0] & half_mask;
      const uint32_t next = left ^ mixed;
      left = right;
      right = next;
    }
    i = (uint64_t{left} << half_bits) | right;
  } while (i >= n);
  return i;
}

// The training image at position `sample` of a run's endless stream of epochs over n images.
DDPM_HOST_DEVICE constexpr uint64_t shuffled_image(uint64_t seed, uint64_t sample, uint64_t n) {
  return permuted_index(seed, sample / n, sample % n, n);
}

}  // namespace ddpm
