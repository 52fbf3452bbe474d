// The epoch order: each image once per epoch, every order about equally likely.
#include "kernels/permutation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <vector>

namespace ddpm {
namespace {

std::vector<uint64_t> order(uint64_t seed, uint64_t epoch, uint64_t n) {
  std::vector<uint64_t> indices;
  for (uint64_t i = 0; i < n; ++i) indices.push_back(permuted_index(seed, epoch, i, n));
  return indices;
}

class PermutedIndex : public testing::TestWithParam<uint64_t> {};

TEST_P(PermutedIndex, VisitsEachIndexOncePerEpoch) {
  const uint64_t n = GetParam();
  for (uint64_t epoch = 0; epoch < 4; ++epoch) {
    std::vector<int> seen(n);
    for (const uint64_t index : order(11, epoch, n)) {
      ASSERT_LT(index, n);
      ++seen[index];
    }
    EXPECT_EQ(std::vector<int>(n, 1), seen);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, PermutedIndex,
                         testing::Values(1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 1000, 1024, 4095, 4096, 4097,
                                         30000),
                         testing::PrintToStringParamName());

TEST(Permutation, DiffersBetweenEpochsAndSeeds) {
  const std::vector<uint64_t> base = order(1, 0, 1000);
  for (const std::vector<uint64_t>& other : {order(1, 1, 1000), order(2, 0, 1000)}) {
    int same = 0;
    for (size_t i = 0; i < base.size(); ++i) same += base[i] == other[i] ? 1 : 0;
    EXPECT_LE(same, 6);  // Poisson with mean 1: seven or more happen once in ten thousand
  }
}

// Over many epochs, index j is at position i equally often, for every i and j.
TEST(Permutation, PutsEveryIndexAtEveryPositionEquallyOften) {
  for (const uint64_t n : {2, 3, 5, 12, 33}) {
    constexpr uint64_t kEpochs = 20000;
    std::vector<std::vector<int>> counts(n, std::vector<int>(n));
    for (uint64_t epoch = 0; epoch < kEpochs; ++epoch)
      for (uint64_t i = 0; i < n; ++i) ++counts[i][permuted_index(5, epoch, i, n)];
    const double expected = static_cast<double>(kEpochs) / static_cast<double>(n);
    double chi_square = 0;
    for (const std::vector<int>& row : counts)
      for (const int count : row) chi_square += std::pow(count - expected, 2) / expected;
    // Rows and columns have fixed sums: (n-1)/n of the statistic is chi-square of (n-1)^2 degrees of freedom.
    const auto degrees = static_cast<double>((n - 1) * (n - 1));
    const double scale = static_cast<double>(n - 1) / static_cast<double>(n);
    EXPECT_LT(chi_square * scale, degrees + 5 * std::sqrt(2 * degrees)) << "n = " << n;
  }
}

TEST(Permutation, ReachesAllOrdersOfThreeEquallyOften) {
  constexpr uint64_t kEpochs = 60000;
  std::map<std::vector<uint64_t>, int> counts;
  for (uint64_t epoch = 0; epoch < kEpochs; ++epoch) ++counts[order(8, epoch, 3)];
  ASSERT_EQ(counts.size(), 6u);
  for (const auto& [indices, count] : counts) EXPECT_NEAR(count, 10000, 5 * std::sqrt(60000 * 5 / 36.0));
}

// Neighbors in the order are not neighbors in the data set: their distance is that of two random indices.
TEST(Permutation, SeparatesNeighbors) {
  constexpr uint64_t kCount = 20000;
  const std::vector<uint64_t> indices = order(3, 0, kCount);
  double sum = 0;
  for (size_t i = 1; i < indices.size(); ++i)
    sum += std::abs(static_cast<double>(indices[i]) - static_cast<double>(indices[i - 1])) / kCount;
  // |U - V| has mean 1/3 and variance 1/18.
  EXPECT_NEAR(sum / kCount, 1.0 / 3, 5 * std::sqrt(1 / 18.0 / kCount));
}

TEST(Permutation, WorksAtTheLargestSize) {
  std::set<uint64_t> seen;
  for (uint64_t i = 0; i < 1000; ++i) {
    const uint64_t index = permuted_index(1, 0, kMaxPermutationSize - 1 - i, kMaxPermutationSize);
    EXPECT_LT(index, kMaxPermutationSize);
    seen.insert(index);
  }
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_LT(permuted_index(1, 0, 0, kMaxPermutationSize - 1), kMaxPermutationSize - 1);
}

TEST(ShuffledImage, CrossesTheEpochBoundary) {
  EXPECT_EQ(shuffled_image(1, 99, 100), permuted_index(1, 0, 99, 100));
  EXPECT_EQ(shuffled_image(1, 100, 100), permuted_index(1, 1, 0, 100));
}

}  // namespace
}  // namespace ddpm
