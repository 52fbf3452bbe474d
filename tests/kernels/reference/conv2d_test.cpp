// Convolutions against their definition, written as a scatter, and their gradients
// against finite differences.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/finite_difference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {
namespace {

struct Case {
  std::string name;
  Conv2dShape shape;
};

// 3x3, same padding, all channels of the filter.
Conv2dShape same(int n, int h, int w, int c, int k) {
  return {.n = n, .h = h, .w = w, .c = c, .k = k, .weight_channels = c};
}

Conv2dShape downsample(Conv2dShape s, int pad_before) {
  s.stride = 2;
  s.pad_before = pad_before;
  return s;
}

Conv2dShape pointwise(Conv2dShape s) {
  s.filter = 1;
  s.pad_before = s.pad_after = 0;
  return s;
}

// Reads channels [begin, begin + s.c) of a filter with `channels`.
Conv2dShape slice(Conv2dShape s, int channels, int begin) {
  s.weight_channels = channels;
  s.weight_channel_begin = begin;
  return s;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"SamePadding", same(2, 5, 4, 3, 4)},
      {"OnePixel", same(1, 1, 1, 2, 3)},
      {"ManyChannels", same(1, 3, 2, 35, 2)},
      {"DownsamplePadAfterEven", downsample(same(2, 6, 4, 2, 3), 0)},
      {"DownsamplePadAfterOdd", downsample(same(1, 5, 7, 2, 3), 0)},
      {"DownsampleSymmetricEven", downsample(same(1, 4, 6, 2, 3), 1)},
      {"DownsampleSymmetricOdd", downsample(same(2, 7, 5, 2, 1), 1)},
      {"Pointwise", pointwise(same(2, 3, 5, 4, 3))},
      {"PointwiseSlice", slice(pointwise(same(2, 3, 2, 3, 4)), 7, 2)},
      {"Slice", slice(same(1, 4, 3, 2, 2), 5, 3)},
  };
  return all;
}

struct Definition {
  std::vector<double> y;
  std::vector<double> magnitude;  // sum of the terms' absolute values, for rounding bounds
};

// Scatters each input value to all outputs that read it.
Definition definition(const Conv2dShape& s, const std::vector<double>& x, const std::vector<double>& weight,
                      const std::vector<double>& bias, const std::vector<double>& residual) {
  Definition d{residual, residual};
  for (size_t e = 0; e < d.y.size(); ++e) {
    d.magnitude[e] = std::abs(residual[e]) + std::abs(bias[e % s.k]);
    d.y[e] += bias[e % s.k];
  }
  for (int n = 0; n < s.n; ++n)
    for (int i = 0; i < s.h; ++i)
      for (int j = 0; j < s.w; ++j)
        for (int p = 0; p < s.p(); ++p)
          for (int q = 0; q < s.q(); ++q) {
            const int r = i + s.pad_before - p * s.stride, t = j + s.pad_before - q * s.stride;
            if (r < 0 || r >= s.filter || t < 0 || t >= s.filter) continue;
            for (int k = 0; k < s.k; ++k)
              for (int c = 0; c < s.c; ++c) {
                const size_t tap = ((size_t(k) * s.filter + r) * s.filter + t) * s.weight_channels;
                const double term =
                    x[((size_t(n) * s.h + i) * s.w + j) * s.c + c] * weight[tap + s.weight_channel_begin + c];
                const size_t at = ((size_t(n) * s.p() + p) * s.q() + q) * s.k + k;
                d.y[at] += term;
                d.magnitude[at] += std::abs(term);
              }
          }
  return d;
}

template <typename T>
std::vector<T> forward(const Conv2dShape& s, const std::vector<T>& x, const std::vector<T>& weight,
                       const std::vector<T>& bias, const std::vector<T>& residual) {
  Output<T> y(s.y_elements());
  conv2d<T>(s, {x.data(), weight.data(), data_or_null(bias), data_or_null(residual), y.data()});
  return y.values();
}

class Conv2d : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Shapes, Conv2d, ::testing::ValuesIn(cases()),
                         [](const auto& i) { return i.param.name; });

template <typename T>
void expect_definition(const Conv2dShape& s) {
  const auto x = random_values<T>(s.x_elements(), 1);
  const auto weight = random_values<T>(s.weight_elements(), 2);
  const auto bias = random_values<T>(s.k, 3);
  const auto residual = random_values<T>(s.y_elements(), 4);
  const auto y = forward(s, x, weight, bias, residual);
  const Definition expected =
      definition(s, to_double(x), to_double(weight), to_double(bias), to_double(residual));
  // Higham, Accuracy and Stability, eq. 3.5: a sum of m products in any order is off by at most about m u
  // times the sum of magnitudes, u = eps / 2.
  const double relative = (s.filter * s.filter * s.c + 2) * double(std::numeric_limits<T>::epsilon()) / 2;
  for (size_t e = 0; e < y.size(); ++e)
    EXPECT_NEAR(y[e], expected.y[e], 1.01 * relative * expected.magnitude[e] + 1e-14) << e;
}

TEST_P(Conv2d, MatchesDefinition) {
  expect_definition<float>(GetParam().shape);
  expect_definition<double>(GetParam().shape);
}

TEST_P(Conv2d, GradientsMatchFiniteDifferences) {
  const Conv2dShape s = GetParam().shape;
  auto x = random_values(s.x_elements(), 1), weight = random_values(s.weight_elements(), 2);
  auto bias = random_values(s.k, 3);
  const auto dy = random_values(s.y_elements(), 5);
  const auto loss = [&] { return inner_product(forward(s, x, weight, bias, {}), dy); };

  Output<double> dx(s.x_elements());
  conv2d_backward_data<double>(s, {dy.data(), weight.data(), nullptr, dx.data()});
  expect_gradient("x", x, dx.values(), loss);

  Output<double> dweight(std::vector<double>(s.weight_elements(), 0.0)), dbias(std::vector<double>(s.k, 0.0)),
      also_dbias(std::vector<double>(s.k, 0.0));
  conv2d_backward_weight<double>(s, {x.data(), dy.data(), dweight.data(), dbias.data(), also_dbias.data()});
  expect_gradient("weight", weight, dweight.values(), loss);  // 0 for channels outside the slice
  expect_gradient("bias", bias, dbias.values(), loss);
  EXPECT_EQ(also_dbias.values(), dbias.values());
}

TEST_P(Conv2d, AddsResidualInPlaceToo) {
  const Conv2dShape s = GetParam().shape;
  const auto x = random_values(s.x_elements(), 1), weight = random_values(s.weight_elements(), 2);
  const auto dy = random_values(s.y_elements(), 3);
  const auto y_residual = random_values(s.y_elements(), 4), x_residual = random_values(s.x_elements(), 5);

  Output<double> y(y_residual);
  conv2d<double>(s, {x.data(), weight.data(), nullptr, y.data(), y.data()});
  EXPECT_EQ(y.values(), forward(s, x, weight, {}, y_residual));

  Output<double> plain(s.x_elements()), in_place(x_residual);
  conv2d_backward_data<double>(s, {dy.data(), weight.data(), nullptr, plain.data()});
  conv2d_backward_data<double>(s, {dy.data(), weight.data(), in_place.data(), in_place.data()});
  auto expected = plain.values();
  for (size_t e = 0; e < expected.size(); ++e) expected[e] += x_residual[e];
  EXPECT_EQ(in_place.values(), expected);
}

TEST_P(Conv2d, WeightGradientAccumulates) {
  const Conv2dShape s = GetParam().shape;
  const auto x = random_values(s.x_elements(), 1), dy = random_values(s.y_elements(), 2);
  Output<double> dweight(std::vector<double>(s.weight_elements(), 0.0)), dbias(std::vector<double>(s.k, 0.0));
  for (int i = 0; i < 2; ++i)
    conv2d_backward_weight<double>(s, {x.data(), dy.data(), dweight.data(), dbias.data()});
  Output<double> once(std::vector<double>(s.weight_elements(), 0.0));
  conv2d_backward_weight<double>(s, {x.data(), dy.data(), once.data(), nullptr});
  auto expected = once.values();
  for (double& value : expected) value *= 2;  // exact
  EXPECT_EQ(dweight.values(), expected);
}

TEST(Conv2dSlices, TwoSlicesEqualConvolutionOfConcatenation) {
  const Conv2dShape whole = pointwise(same(2, 3, 3, 5, 4));
  const Conv2dShape left = slice(pointwise(same(2, 3, 3, 2, 4)), 5, 0);
  const Conv2dShape right = slice(pointwise(same(2, 3, 3, 3, 4)), 5, 2);
  const auto x = random_values(whole.x_elements(), 1), weight = random_values(whole.weight_elements(), 2);
  const auto bias = random_values(whole.k, 3);
  std::vector<double> x_left, x_right;
  for (size_t e = 0; e < x.size(); ++e) (e % 5 < 2 ? x_left : x_right).push_back(x[e]);

  Output<double> y(whole.y_elements());
  conv2d<double>(left, {x_left.data(), weight.data(), bias.data(), nullptr, y.data()});
  conv2d<double>(right, {x_right.data(), weight.data(), nullptr, y.data(), y.data()});
  // Seven terms of order one in another order: 7 roundings of values below 8.
  expect_all_near(y.values(), forward(whole, x, weight, bias, {}), 7 * 8 * 1.2e-16);
}

class UpsampleConv2d : public ::testing::TestWithParam<UpsampleConv2dShape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, UpsampleConv2d,
                         ::testing::Values(UpsampleConv2dShape{.n = 2, .h = 3, .w = 2, .c = 3, .k = 4},
                                           UpsampleConv2dShape{.n = 1, .h = 1, .w = 1, .c = 2, .k = 2}));

TEST_P(UpsampleConv2d, MatchesDefinition) {
  const UpsampleConv2dShape s = GetParam();
  const Conv2dShape full = s.upsampled();
  const auto x = random_values(int64_t{s.n} * s.h * s.w * s.c, 1),
             weight = random_values(full.weight_elements(), 2);
  const auto bias = random_values(s.k, 3), residual = random_values(full.y_elements(), 4);
  std::vector<double> upsampled;
  for (int n = 0; n < s.n; ++n)
    for (int i = 0; i < 2 * s.h; ++i)
      for (int j = 0; j < 2 * s.w; ++j)
        for (int c = 0; c < s.c; ++c)
          upsampled.push_back(x[((size_t(n) * s.h + i / 2) * s.w + j / 2) * s.c + c]);

  Output<double> y(full.y_elements());
  upsample_conv2d<double>(s, {x.data(), weight.data(), bias.data(), residual.data(), y.data()});
  // At most 29 terms of order one, each rounding below 29 u.
  expect_all_near(y.values(), definition(full, upsampled, weight, bias, residual).y, 29 * 29 * 1.2e-16);
}

TEST_P(UpsampleConv2d, GradientsMatchFiniteDifferences) {
  const UpsampleConv2dShape s = GetParam();
  const Conv2dShape full = s.upsampled();
  auto x = random_values(int64_t{s.n} * s.h * s.w * s.c, 1),
       weight = random_values(full.weight_elements(), 2);
  auto bias = random_values(s.k, 3);
  const auto dy = random_values(full.y_elements(), 4), residual = random_values(int64_t(x.size()), 5);
  const auto loss = [&] {
    Output<double> y(full.y_elements());
    upsample_conv2d<double>(s, {x.data(), weight.data(), bias.data(), nullptr, y.data()});
    return inner_product(y.values(), dy);
  };

  Output<double> dx(residual);
  upsample_conv2d_backward_data<double>(s, {dy.data(), weight.data(), dx.data(), dx.data()});
  auto gradient = dx.values();
  for (size_t e = 0; e < gradient.size(); ++e) gradient[e] -= residual[e];
  expect_gradient("x", x, gradient, loss);

  Output<double> dweight(std::vector<double>(full.weight_elements(), 0.0)),
      dbias(std::vector<double>(s.k, 0.0));
  upsample_conv2d_backward_weight<double>(s, {x.data(), dy.data(), dweight.data(), dbias.data()});
  expect_gradient("weight", weight, dweight.values(), loss);
  expect_gradient("bias", bias, dbias.values(), loss);
}

}  // namespace
}  // namespace ddpm::reference
