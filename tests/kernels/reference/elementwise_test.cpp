// Addition, nearest-neighbor upsampling and SiLU.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"
#include "kernels/reference/silu.h"
#include "tests/finite_difference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {
namespace {

TEST(Add, AddsInPlaceAndAcrossBlocks) {
  const int64_t count = 40001;  // more than two blocks, and a remainder
  const auto a = random_values<float>(count, 1), b = random_values<float>(count, 2);
  Output<float> y(count), in_place(a);
  add(count, a.data(), b.data(), y.data());
  add(count, in_place.data(), b.data(), in_place.data());
  const auto values = y.values();
  for (int64_t i = 0; i < count; ++i) ASSERT_EQ(values[i], a[i] + b[i]);
  EXPECT_EQ(in_place.values(), values);
}

TEST(Upsample, RepeatsEachPixelFourTimesAndSumsTheGradients) {
  // n = 1, 1 x 2 pixels of 1 channel. The gradients are distinct powers of two, so that a sum
  // identifies its terms.
  const std::vector<double> x = {3, 7}, dy = {1, 2, 4, 8, 16, 32, 64, 128}, residual = {1000, 2000};
  Output<double> y(8), dx(2), dx_residual(residual);
  upsample_nearest(1, 1, 2, 1, x.data(), y.data());
  EXPECT_EQ(y.values(), (std::vector<double>{3, 3, 7, 7, 3, 3, 7, 7}));
  upsample_nearest_backward<double>(1, 1, 2, 1, dy.data(), nullptr, dx.data());
  EXPECT_EQ(dx.values(), (std::vector<double>{1 + 2 + 16 + 32, 4 + 8 + 64 + 128}));
  upsample_nearest_backward<double>(1, 1, 2, 1, dy.data(), dx_residual.data(), dx_residual.data());
  EXPECT_EQ(dx_residual.values(), (std::vector<double>{1051, 2204}));
}

TEST(Upsample, KeepsChannelsAndImagesApart) {
  const int n = 2, h = 2, w = 3, c = 2;
  auto x = random_values(int64_t{n} * h * w * c, 1);
  const auto dy = random_values(int64_t{4} * n * h * w * c, 2);
  Output<double> dx(int64_t(x.size()));
  upsample_nearest_backward<double>(n, h, w, c, dy.data(), nullptr, dx.data());
  expect_gradient("x", x, dx.values(), [&] {
    Output<double> y(int64_t(dy.size()));
    upsample_nearest(n, h, w, c, x.data(), y.data());
    return inner_product(y.values(), dy);
  });
}

TEST(Silu, HasKnownValuesAndLimits) {
  // x / (1 + e^-x) at 1, and its minimum at the root of 1 + x (1 - sigmoid x) = 0.
  EXPECT_NEAR(silu(1.0), 0.7310585786300049, 1e-15);
  EXPECT_NEAR(silu_derivative(-1.2784645427610738), 0.0, 1e-15);
  EXPECT_NEAR(silu(-1.2784645427610738), -0.2784645427610738, 1e-15);
  EXPECT_EQ(silu(1000.0), 1000.0);
  EXPECT_EQ(silu(-1000.0), 0.0);
  EXPECT_EQ(silu_derivative(0.0), 0.5);
}

TEST(Silu, DerivativeMatchesFiniteDifferences) {
  for (double at : {-20.0, -3.0, -0.5, 0.0, 0.7, 4.0, 30.0}) {
    std::vector<double> x = {at};
    expect_gradient("silu", x, {silu_derivative(at)}, [&] { return silu(x[0]); });
  }
}

}  // namespace
}  // namespace ddpm::reference
