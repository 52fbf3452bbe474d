// The exponential, SiLU and the vector loops that the CPU operations are made of.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/silu.h"
#include "kernels/cpu/vector.h"
#include "kernels/reference/silu.h"
#include "tests/kernels/cpu/float_test.h"

namespace ddpm::cpu {
namespace {

TEST(Dot, IsExactForIntegersOfAnyLength) {
  for (int count : {0, 1, 15, 16, 17, 33, 100}) {
    std::vector<float> a(count), b(count);
    int64_t expected = 0;
    for (int i = 0; i < count; ++i) {
      a[i] = float(i % 7 - 3);
      b[i] = float(i % 11 - 4);
      expected += (i % 7 - 3) * (i % 11 - 4);
    }
    EXPECT_EQ(dot(count, a.data(), b.data()), float(expected)) << count;
  }
}

TEST(Exponential, IsWithinTwoUlp) {
  double worst = 0;
  for (float x = 0; x > -87; x -= 1e-3F) {
    const double exact = std::exp(double(x));
    worst = std::max(worst, std::abs(exp_nonpositive(x) / exact - 1));
  }
  // An epsilon is one to two ulp. One term less in the series doubles the error.
  EXPECT_LT(worst, double(std::numeric_limits<float>::epsilon()));
  EXPECT_EQ(exp_nonpositive(0.0F), 1.0F);
}

TEST(Exponential, IsTinyFarBelowZeroAndPropagatesNaN) {
  for (float x : {-100.0F, -1e30F, -std::numeric_limits<float>::infinity()}) {
    EXPECT_GE(exp_nonpositive(x), 0.0F);
    EXPECT_LT(exp_nonpositive(x), 2e-38F);
  }
  EXPECT_TRUE(std::isnan(silu(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(silu_derivative(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Silu, MatchesReference) {
  for (float x = -80; x < 80; x += 1e-2F) {
    const double exact = reference::silu(x);
    EXPECT_NEAR(silu(x), exact, kSlack * kSiluUnits * kUnit * std::abs(exact)) << x;
    // s (1 + x (1 - s)) with a sigmoid s off by 6 units: the factor is off by |x| (6 s + 1) + 2 |1 + x (1 -
    // s)| units, and s adds 7 more of the result. With |s x (1 - s)| < 0.3 and s <= 1 that stays below 7 |x|
    // s + 12.
    const double s = reference::sigmoid(x);
    EXPECT_NEAR(silu_derivative(x), reference::silu_derivative(x), (7 * std::abs(x) * s + 12) * kUnit) << x;
  }
  EXPECT_EQ(silu(1000.0F), 1000.0F);
  EXPECT_NEAR(silu(-1000.0F), 0.0F, 1e-30);
}

}  // namespace
}  // namespace ddpm::cpu
