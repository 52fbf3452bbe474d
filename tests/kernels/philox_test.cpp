// Philox4x32-10 against the known answers that its authors publish with Random123 (kat_vectors).
#include "kernels/philox.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>

namespace ddpm {
namespace {

TEST(Philox, MatchesPublishedKnownAnswers) {
  EXPECT_EQ(philox4x32_10({{0, 0, 0, 0}}, {{0, 0}}),
            (U32x4{{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32_10({{kOnes, kOnes, kOnes, kOnes}}, {{kOnes, kOnes}}),
            (U32x4{{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
  // The digits of pi.
  EXPECT_EQ(philox4x32_10({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, {{0xa4093822, 0x299f31d0}}),
            (U32x4{{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST(Philox, IsInjectiveInTheCounter) {
  std::set<std::tuple<uint32_t, uint32_t, uint32_t, uint32_t>> seen;
  constexpr uint32_t kCount = 10000;
  for (uint32_t i = 0; i < kCount; ++i) {
    const U32x4 bits = philox4x32_10({{i, 0, 0, 0}}, {{1, 2}});
    seen.emplace(bits[0], bits[1], bits[2], bits[3]);
  }
  EXPECT_EQ(seen.size(), kCount);
}

TEST(Philox, AnyInputBitFlipsHalfOfTheOutput) {
  const U32x4 counter = {{1, 2, 3, 4}};
  const PhiloxKey key = {{5, 6}};
  const U32x4 before = philox4x32_10(counter, key);
  int changed = 0;
  for (int bit = 0; bit < 192; ++bit) {
    U32x4 other_counter = counter;
    PhiloxKey other_key = key;
    (bit < 128 ? other_counter.v[bit / 32] : other_key.v[bit / 32 - 4]) ^= 1u << (bit % 32);
    const U32x4 after = philox4x32_10(other_counter, other_key);
    for (int word = 0; word < 4; ++word) changed += __builtin_popcount(before[word] ^ after[word]);
  }
  // Binomial(192 * 128, 1/2): mean 12288, standard deviation 78; five of them.
  EXPECT_NEAR(changed, 12288, 5 * 78);
}

}  // namespace
}  // namespace ddpm
