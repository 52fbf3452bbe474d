#include "kernels/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "kernels/reference/noise.h"

namespace ddpm {
namespace {

constexpr RandomKey kKey{5, static_cast<uint32_t>(RandomStream::kDropout)};

TEST(Dropout, RateIsRoundedToNearestStep) {
  for (const double rate : {0.0, 1e-6, 0x1p-16, 0.1, 0.3, 0.5, 0.9})
    EXPECT_NEAR(dropout_threshold(rate) * 0x1p-16, rate, 0x1p-17) << rate;
  EXPECT_LT(dropout_threshold(1 - 1e-9), 0x10000u) << "something is kept";
}

TEST(Dropout, MaskHasMeanOne) {
  for (const double rate : {0.1, 0.3, 0.9}) {
    const double threshold = dropout_threshold(rate);
    EXPECT_DOUBLE_EQ((1 - threshold * 0x1p-16) * dropout_kept_scale(dropout_threshold(rate)), 1);
  }
  EXPECT_EQ(dropout_kept_scale(0), 1);
}

TEST(Dropout, ElementsOfABlockUseDistinctBits) {
  const U32x4 block{{0x00020001u, 0x00040003u, 0x00060005u, 0x00080007u}};
  for (int i = 0; i < kDropoutBlock; ++i) EXPECT_EQ(dropout_bits(block, i), uint32_t(i + 1));
}

TEST(Dropout, DropsTheGivenRateAtEveryPositionOfABlock) {
  constexpr int64_t kCount = int64_t{1} << 17;
  for (const double rate : {0.1, 0.5}) {
    std::vector<double> mask(kCount);
    reference::fill_dropout_mask(kKey, 3, rate, kCount, mask.data());
    std::vector<int> dropped(kDropoutBlock);
    for (int64_t e = 0; e < kCount; ++e) dropped[size_t(e % kDropoutBlock)] += mask[size_t(e)] == 0;
    const double each = double(kCount) / kDropoutBlock;
    // Five standard deviations of the binomial distribution: one run in a hundred thousand would fail by
    // chance, and the numbers are the same in every run.
    for (const int count : dropped)
      EXPECT_NEAR(count, rate * each, 5 * std::sqrt(rate * (1 - rate) * each)) << rate;
  }
}

TEST(Dropout, SamplesHaveDifferentMasks) {
  constexpr int64_t kCount = 256;
  std::set<std::vector<float>> masks;
  for (uint64_t sample = 0; sample < 4; ++sample) {
    std::vector<float> mask(kCount);
    reference::fill_dropout_mask(kKey, sample, 0.5, kCount, mask.data());
    masks.insert(mask);
  }
  EXPECT_EQ(masks.size(), 4u);
}

}  // namespace
}  // namespace ddpm
