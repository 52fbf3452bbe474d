// Random numbers: the elementary functions against the C library in double, the distributions against their
// definitions, and a committed hash of bits that every platform must reproduce.
#include "kernels/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

namespace ddpm {
namespace {

uint32_t bits_of(float value) {
  uint32_t word = 0;
  std::memcpy(&word, &value, sizeof(word));
  return word;
}

std::vector<double> draw_normals(RandomKey key, uint64_t sample, uint32_t blocks) {
  std::vector<double> values;
  values.reserve(size_t{blocks} * 4);
  for (uint32_t block = 0; block < blocks; ++block) {
    const F32x4 four = normal4(key, sample, block);
    values.insert(values.end(), four.v, four.v + 4);
  }
  return values;
}

// The Kolmogorov-Smirnov distance between a sample and a distribution function, times sqrt(n).
template <typename Cdf>
double kolmogorov_smirnov(std::vector<double> values, const Cdf& cdf) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double distance = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double expected = cdf(values[i]);
    distance = std::max(
        {distance, static_cast<double>(i + 1) / n - expected, expected - static_cast<double>(i) / n});
  }
  return distance * std::sqrt(n);
}
// Exceeded by chance once in a thousand (Kolmogorov's distribution), but the numbers are fixed.
constexpr double kKolmogorovSmirnovBound = 1.95;

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum / static_cast<double>(a.size());
}

const RandomKey kKey = random_key(2026, RandomStream::kNoise);

TEST(ExactMath, LogMatchesLibraryToOnePartInAMillion) {
  double worst = 0;
  for (uint32_t word = bits_of(0x1p-33f); word < bits_of(1.0f); word += 997) {
    float x = 0;
    std::memcpy(&x, &word, sizeof(x));
    const double expected = std::log(static_cast<double>(x));
    worst = std::max(worst, std::abs(exact::log(x) - expected) / std::abs(expected));
  }
  for (int i = 1; i <= 4096; ++i) {  // next to 1, where the result is small
    const float x = 1.0f - static_cast<float>(i) * 0x1p-24f;
    const double expected = std::log(static_cast<double>(x));
    worst = std::max(worst, std::abs(exact::log(x) - expected) / std::abs(expected));
  }
  EXPECT_LT(worst, 5e-7) << worst;  // a division, five multiplications and additions of 2^-24 each
  EXPECT_EQ(bits_of(exact::log(1.0f)), 0u);
}

TEST(ExactMath, SinCosMatchesLibrary) {
  double worst = 0;
  for (uint64_t turn = 0; turn < (uint64_t{1} << 32); turn += 4093) {
    const double angle = static_cast<double>(turn) * 0x1p-32 * 2 * std::numbers::pi;
    const exact::SinCos result = exact::sincos_of_turn(static_cast<uint32_t>(turn));
    worst = std::max({worst, std::abs(result.sin - std::sin(angle)), std::abs(result.cos - std::cos(angle))});
  }
  EXPECT_LT(worst, 2e-7) << worst;  // about three roundings of 2^-24 of values below 1
  EXPECT_EQ(exact::sincos_of_turn(0).sin, 0.0f);
  EXPECT_EQ(exact::sincos_of_turn(1u << 30).sin, 1.0f);
  EXPECT_EQ(exact::sincos_of_turn(1u << 31).cos, -1.0f);
  EXPECT_EQ(exact::sincos_of_turn(3u << 30).sin, -1.0f);
}

TEST(BoxMuller, MatchesFormulaInDouble) {
  double worst = 0;
  for (uint32_t i = 0; i < 100000; ++i) {
    const U32x4 bits = random_bits4(kKey, 1, i);
    const F32x2 result = box_muller(bits[0], bits[1]);
    const double radius = std::sqrt(-2 * std::log((bits[0] + 0.5) * 0x1p-32));
    const double angle = bits[1] * 0x1p-32 * 2 * std::numbers::pi;
    // The errors of log, sqrt, sin and cos are relative. Rounding u to float moves log u by up to 2^-25 if u
    // is next to 1, and so the radius by 2^-25 / radius.
    const double limit = 5e-7 * radius + 0x1p-25 / radius;
    worst = std::max(worst, std::abs(result.v[0] - radius * std::cos(angle)) / limit);
    worst = std::max(worst, std::abs(result.v[1] - radius * std::sin(angle)) / limit);
  }
  EXPECT_LT(worst, 1) << worst;
}

TEST(BoxMuller, IsFiniteAtTheEnds) {
  for (const uint32_t radius : {0u, 1u, 0xffffffffu})
    for (const uint32_t angle : {0u, 0x3fffffffu, 0x40000000u, 0x80000000u, 0xffffffffu})
      for (const float value : box_muller(radius, angle).v) {
        EXPECT_TRUE(std::isfinite(value));
        EXPECT_LT(std::abs(value), 6.77f);
      }
  EXPECT_NEAR(box_muller(0, 0).v[0], std::sqrt(66 * std::numbers::ln2), 1e-5);
  EXPECT_EQ(std::abs(box_muller(0xffffffff, 0).v[0]), 0.0f);
}

TEST(Normal, HasNormalMomentsAndTails) {
  const std::vector<double> values = draw_normals(kKey, 7, 250000);
  double moments[5] = {};
  int beyond3 = 0;
  int beyond4 = 0;
  for (const double z : values) {
    for (int power = 1; power <= 4; ++power) moments[power] += std::pow(z, power) / 1e6;
    beyond3 += std::abs(z) > 3 ? 1 : 0;
    beyond4 += std::abs(z) > 4 ? 1 : 0;
  }
  // Each bound is four standard errors of a million draws: Var z = 1, Var z^2 = 2, Var z^3 = 15, Var
  // z^4 = 96.
  EXPECT_NEAR(moments[1], 0, 4e-3);
  EXPECT_NEAR(moments[2], 1, 4e-3 * std::sqrt(2.0));
  EXPECT_NEAR(moments[3], 0, 4e-3 * std::sqrt(15.0));
  EXPECT_NEAR(moments[4], 3, 4e-3 * std::sqrt(96.0));
  // P(|z| > 3) = 2.6998e-3 and P(|z| > 4) = 6.334e-5; counts are Poisson to a good approximation.
  EXPECT_NEAR(beyond3, 2699.8, 4 * std::sqrt(2699.8));
  EXPECT_NEAR(beyond4, 63.3, 4 * std::sqrt(63.3));
  EXPECT_LT(kolmogorov_smirnov(values, normal_cdf), kKolmogorovSmirnovBound);
}

TEST(Normal, ElementsOfABlockAreUncorrelated) {
  const std::vector<double> values = draw_normals(kKey, 3, 100000);
  for (size_t i = 0; i < 4; ++i)
    for (size_t j = 0; j < i; ++j) {
      double sum = 0;
      double sum_of_squares = 0;
      for (size_t block = 0; block < values.size(); block += 4) {
        sum += values[block + i] * values[block + j];
        sum_of_squares += (std::pow(values[block + i], 2) - 1) * (std::pow(values[block + j], 2) - 1);
      }
      EXPECT_NEAR(sum / 1e5, 0, 4 / std::sqrt(1e5));                 // the product of two has variance 1
      EXPECT_NEAR(sum_of_squares / 1e5, 0, 4 * 2 / std::sqrt(1e5));  // and of two squares less 1: 4
    }
}

TEST(Normal, SeedsStreamsSamplesAndMembersAreIndependent) {
  constexpr uint32_t kBlocks = 25000;
  const std::vector<double> base = draw_normals(kKey, 5, kBlocks);
  const std::vector<std::vector<double>> others = {
      draw_normals(random_key(2027, RandomStream::kNoise), 5, kBlocks),
      draw_normals(random_key(2026 + (uint64_t{1} << 32), RandomStream::kNoise), 5, kBlocks),
      draw_normals(random_key(2026, RandomStream::kInitialNoise), 5, kBlocks),
      draw_normals(random_key(2026, RandomStream::kSampler, 1), 5, kBlocks),
      draw_normals(kKey, 6, kBlocks),
      draw_normals(kKey, 5 + (uint64_t{1} << 32), kBlocks)};
  for (const std::vector<double>& other : others)
    EXPECT_NEAR(correlation(base, other), 0,
                4 / std::sqrt(1e5));  // products of independent normals: variance 1
}

TEST(Normal, SingleElementMatchesBlock) {
  for (uint64_t element = 0; element < 64; ++element) {
    const float one = normal(kKey, 9, element);
    const float of_four = normal4(kKey, 9, static_cast<uint32_t>(element / 4))[static_cast<int>(element % 4)];
    EXPECT_EQ(bits_of(one), bits_of(of_four));
    EXPECT_EQ(random_bits(kKey, 9, element),
              random_bits4(kKey, 9, static_cast<uint32_t>(element / 4))[static_cast<int>(element % 4)]);
  }
}

TEST(Uniform, IsExactOpenAndFlat) {
  EXPECT_EQ(uniform_open(0), 0x1p-24f);
  EXPECT_EQ(uniform_open(0xffffffff), 1.0f - 0x1p-24f);
  std::vector<double> values;
  for (uint32_t block = 0; block < 50000; ++block)
    for (const uint32_t bits : random_bits4(kKey, 2, block).v) values.push_back(uniform_open(bits));
  EXPECT_LT(kolmogorov_smirnov(values, [](double u) { return u; }), kKolmogorovSmirnovBound);
}

TEST(UniformBelow, CoversItsRangeEvenly) {
  EXPECT_EQ(uniform_below(0, 1000), 0u);
  EXPECT_EQ(uniform_below(0xffffffff, 1000), 999u);
  EXPECT_EQ(uniform_below(0xffffffff, 1), 0u);
  std::vector<int> counts(1000);
  constexpr int kDraws = 1000000;
  const RandomKey key = random_key(1, RandomStream::kTimestep);
  for (uint64_t sample = 0; sample < kDraws; ++sample)
    ++counts[uniform_below(random_bits(key, sample), 1000)];
  double chi_square = 0;
  for (const int count : counts) chi_square += std::pow(count - 1000.0, 2) / 1000.0;
  EXPECT_NEAR(chi_square, 999, 4 * std::sqrt(2 * 999.0));  // chi-square of 999 degrees: variance 2 * 999
}

TEST(Bernoulli, IsExactAtTheEndsAndFairInBetween) {
  int happened = 0;
  for (uint64_t sample = 0; sample < 100000; ++sample) {
    const uint32_t bits = random_bits(random_key(1, RandomStream::kFlip), sample);
    EXPECT_FALSE(bernoulli(bits, 0.0f));
    EXPECT_TRUE(bernoulli(bits, 1.0f));
    happened += bernoulli(bits, 0.1f) ? 1 : 0;
  }
  EXPECT_NEAR(happened, 10000, 4 * std::sqrt(100000 * 0.1 * 0.9));
}

// The 32-bit FNV-1a hash of a million normals. A change here changes the results of every run
// on some platform.
TEST(Normal, HasTheSameBitsOnEveryPlatform) {
  uint32_t hash = 2166136261u;
  for (uint32_t block = 0; block < 250000; ++block)
    for (const float value :
         normal4(random_key(1234567890123456789u, RandomStream::kSampler, 42), 77, block).v) {
      const uint32_t word = bits_of(value);
      for (int byte = 0; byte < 4; ++byte) hash = (hash ^ ((word >> (8 * byte)) & 0xff)) * 16777619u;
    }
  EXPECT_EQ(hash, 979606215u);
}

}  // namespace
}  // namespace ddpm
