// The stateless generator Philox4x32-10: 128 random bits as a function of a counter and a key.
#pragma once

#include <cstdint>

#include "device/host_device.h"

namespace ddpm {

struct U32x4 {
  uint32_t v[4];
  DDPM_HOST_DEVICE constexpr uint32_t operator[](int i) const { return v[i]; }
  friend constexpr bool operator==(const U32x4&, const U32x4&) = default;
};

struct PhiloxKey {
  uint32_t v[2];
};

// One round of Philox4x32 (equation 3 in section 3.2 of the paper below).
DDPM_HOST_DEVICE constexpr U32x4 philox_round(const U32x4& counter, const PhiloxKey& key) {
  const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
  const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
  return {{static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key.v[0], static_cast<uint32_t>(product1),
           static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key.v[1], static_cast<uint32_t>(product0)}};
}

// Philox4x32 with the ten rounds that its authors recommend: Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3" (2011). For one key it is a bijection of the counter.
DDPM_HOST_DEVICE constexpr U32x4 philox4x32_10(U32x4 counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    counter = philox_round(counter, key);
    key.v[0] += 0x9E3779B9;  // the golden ratio, as a fraction of 2^32
    key.v[1] += 0xBB67AE85;  // sqrt(3) - 1, as a fraction of 2^32
  }
  return counter;
}

}  // namespace ddpm
