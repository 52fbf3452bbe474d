// Upsampling, pooling, scaling and one-hot rows against their definitions and, for pairs of mutual
// gradients, finite differences.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/reference/reference.h"
#include "tests/finite_difference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {
namespace {

// The numbers are distinct powers of two, so that a sum identifies its terms.
TEST(Resample, UpsamplingRepeatsAndPoolingSums) {
  const ResampleParams params{.n = 1, .h = 1, .w = 2, .c = 1};
  const std::vector<double> small = {3, 7}, large = {1, 2, 4, 8, 16, 32, 64, 128};
  Output<double> up(8), pooled(2);
  upsample_nearest<double>(params, {small.data(), nullptr, up.data()});
  EXPECT_EQ(up.values(), (std::vector<double>{3, 3, 7, 7, 3, 3, 7, 7}));
  sum_pool<double>(params, {large.data(), nullptr, pooled.data()});
  EXPECT_EQ(pooled.values(), (std::vector<double>{1 + 2 + 16 + 32, 4 + 8 + 64 + 128}));
}

TEST(Resample, ScalesAndAddsResidualInPlaceToo) {
  const ResampleParams params{.n = 1, .h = 1, .w = 1, .c = 2, .scale = 0.25};
  const std::vector<double> small = {4, 8}, large = {4, 8, 12, 16, 20, 24, 28, 32};
  Output<double> up(std::vector<double>(8, 100.0)), pooled(std::vector<double>{1000, 2000});
  upsample_nearest<double>(params, {small.data(), up.data(), up.data()});
  EXPECT_EQ(up.values(), (std::vector<double>{101, 102, 101, 102, 101, 102, 101, 102}));
  sum_pool<double>(params, {large.data(), pooled.data(), pooled.data()});
  EXPECT_EQ(pooled.values(), (std::vector<double>{1016, 2020}));
}

// Odd extents, several images and channels: each direction is the gradient of the other.
TEST(Resample, EachIsTheGradientOfTheOther) {
  const ResampleParams params{.n = 2, .h = 3, .w = 1, .c = 3, .scale = 0.7};
  auto small = random_values(params.small_elements(), 1), large = random_values(params.large_elements(), 2);
  Output<double> dlarge(params.large_elements()), dsmall(params.small_elements());
  const auto dsmall_given = small, dlarge_given = large;
  upsample_nearest<double>(params, {dsmall_given.data(), nullptr, dlarge.data()});
  sum_pool<double>(params, {dlarge_given.data(), nullptr, dsmall.data()});
  expect_gradient("pooling", large, dlarge.values(), [&] {
    Output<double> y(params.small_elements());
    sum_pool<double>(params, {large.data(), nullptr, y.data()});
    return inner_product(y.values(), dsmall_given);
  });
  expect_gradient("upsampling", small, dsmall.values(), [&] {
    Output<double> y(params.large_elements());
    upsample_nearest<double>(params, {small.data(), nullptr, y.data()});
    return inner_product(y.values(), dlarge_given);
  });
}

TEST(Rescale, DividesEachImageByItsDivisor) {
  const RescaleParams params{.n = 2, .elements = 3, .scale = 2, .offset = -1};
  const std::vector<double> x = {0, 1, 2, 3, 4, 5}, divisor = {1, 4};
  Output<double> y(6), in_place(x), undivided(6);
  rescale<double>(params, {x.data(), divisor.data(), y.data()});
  EXPECT_EQ(y.values(), (std::vector<double>{-1, 1, 3, 1.25, 1.75, 2.25}));
  rescale<double>(params, {in_place.data(), divisor.data(), in_place.data()});
  EXPECT_EQ(in_place.values(), y.values());
  rescale<double>(params, {x.data(), nullptr, undivided.data()});
  EXPECT_EQ(undivided.values(), (std::vector<double>{-1, 1, 3, 5, 7, 9}));
}

TEST(Rescale, WithoutOffsetIsItsOwnGradient) {
  const RescaleParams params{.n = 3, .elements = 5, .scale = 1.7, .offset = 0.3};
  RescaleParams backward = params;
  backward.offset = 0;
  auto x = random_values(15, 1);
  const auto dy = random_values(15, 2), divisor = random_values(3, 3, 2.5);
  Output<double> dx(15);
  rescale<double>(backward, {dy.data(), divisor.data(), dx.data()});
  expect_gradient("x", x, dx.values(), [&] {
    Output<double> y(15);
    rescale<double>(params, {x.data(), divisor.data(), y.data()});
    return inner_product(y.values(), dy);
  });
}

TEST(OneHot, HasOneAtTheIndex) {
  const std::vector<double> index = {2, 0, 3, -1, 0.5};
  Output<double> y(15);
  one_hot<double>({.n = 5, .classes = 3}, {index.data(), y.data()});
  EXPECT_EQ(y.values(), (std::vector<double>{0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

}  // namespace
}  // namespace ddpm::reference
