// Group norm with all its fused neighbors: against its definition, written one value at a time, and its
// gradients against finite differences.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/finite_difference.h"
#include "tests/kernels/reference/group_norm_case.h"

namespace ddpm::reference {
namespace {

// The definition, one value at a time, in long double.
struct Definition {
  const GroupNormParams& s;
  const GroupNormInputs<double>& in;

  long double u(int n, int i, int c) const {
    const int64_t row = int64_t{n} * s.pixels + i;
    long double value =
        c < s.x_channels ? in.x[row * s.x_channels + c] : in.skip[row * s.skip_channels + c - s.x_channels];
    if (!in.shift.empty()) value += in.shift[int64_t{n} * s.shift_stride + c];
    if (!in.bias.empty()) value += in.bias[c];
    return value;
  }

  template <typename Term>
  long double group_mean(int n, int group, const Term& term) const {
    long double sum = 0;
    const int width = s.channels_per_group();
    for (int c = group * width; c < (group + 1) * width; ++c)
      for (int i = 0; i < s.pixels; ++i) sum += term(u(n, i, c));
    return sum / (static_cast<long double>(s.pixels) * width);
  }

  double y(int n, int i, int c) const {
    const int group = c / s.channels_per_group();
    const long double mean = group_mean(n, group, [](long double v) { return v; });
    const long double variance = group_mean(n, group, [&](long double v) { return (v - mean) * (v - mean); });
    long double w = (u(n, i, c) - mean) / std::sqrt(variance + s.eps) * in.gamma[c] + in.beta[c];
    if (!in.film.empty()) {
      const double* film = in.film.data() + int64_t{n} * s.film_stride;
      w = w * (1 + film[c]) + film[s.channels() + c];
    }
    if (s.activation == Activation::kSilu) w = w / (1 + std::exp(-w));
    if (s.dropout > 0) {
      const uint64_t element = uint64_t(i) * s.channels() + c;
      const uint32_t word =
          random_bits({kDropoutSeed, s.dropout_stream}, uint64_t(kDropoutStep) * s.n + n, element / 2);
      const double drawn = (element % 2 == 0 ? word & 0xFFFF : word >> 16) * 0x1p-16;
      const double rate = std::round(s.dropout * 0x1p16) * 0x1p-16;
      w = drawn < rate ? 0 : w / (1 - rate);
    }
    return double(w);
  }
};

// The gradients alone, without addends and in zeroed memory: the columns beside the slices must stay 0, which
// is also their gradient.
GroupNormGradients<double> gradients_of(const GroupNormCase& test, const GroupNormInputs<double>& in) {
  const GroupNormOutputs<double> kept = group_norm_forward(test.params, in);
  return group_norm_gradients(test, in, kept.mean, kept.rstd, empty_surroundings<double>(test));
}

class GroupNorm : public ::testing::TestWithParam<GroupNormCase> {};
INSTANTIATE_TEST_SUITE_P(Options, GroupNorm, ::testing::ValuesIn(group_norm_option_cases(1)),
                         [](const auto& i) { return i.param.name; });

TEST_P(GroupNorm, MatchesDefinition) {
  const GroupNormParams s = GetParam().params;
  const GroupNormInputs<double> in = group_norm_inputs<double>(GetParam());
  const GroupNormOutputs<double> out = group_norm_forward(s, in);
  const Definition definition{s, in};
  for (int n = 0; n < s.n; ++n)
    for (int i = 0; i < s.pixels; ++i)
      for (int c = 0; c < s.channels(); ++c)
        // Values of order ten, a few tens of roundings.
        EXPECT_NEAR(out.y[(int64_t{n} * s.pixels + i) * s.channels() + c], definition.y(n, i, c), 1e-13);
}

TEST_P(GroupNorm, GradientsMatchFiniteDifferences) {
  const GroupNormParams s = GetParam().params;
  GroupNormInputs<double> in = group_norm_inputs<double>(GetParam());
  const auto gradients = gradients_of(GetParam(), in);
  const auto loss = [&] { return inner_product(group_norm_forward(s, in).y, in.dy); };
  expect_gradient("x", in.x, gradients.x, loss);
  if (s.skip_channels > 0) expect_gradient("skip", in.skip, gradients.skip, loss);
  expect_gradient("gamma", in.gamma, gradients.gamma, loss);
  expect_gradient("beta", in.beta, gradients.beta, loss);
  if (!in.shift.empty()) expect_gradient("shift", in.shift, gradients.shift, loss);
  if (!in.bias.empty()) expect_gradient("bias", in.bias, gradients.bias, loss);
  if (!in.film.empty()) expect_gradient("film", in.film, gradients.film, loss);
}

// Convolutions leave their bias to this operation and rely on it.
TEST(GroupNormBackward, BiasGradientIsSumOfShiftGradients) {
  const GroupNormCase test = group_norm_case(
      "", {.n = 3, .pixels = 4, .x_channels = 4, .groups = 2, .activation = Activation::kSilu}, true, true);
  const GroupNormInputs<double> in = group_norm_inputs<double>(test);
  const auto gradients = gradients_of(test, in);
  for (int c = 0; c < 4; ++c) {
    double sum = 0;
    for (int n = 0; n < 3; ++n) sum += gradients.shift[n * test.params.shift_stride + c];
    EXPECT_NEAR(sum, gradients.bias[c], 1e-14) << c;
  }
}

TEST(GroupNormBackward, AddsAddendsInPlaceAndAccumulatesParameterGradients) {
  const GroupNormCase test = group_norm_case(
      "", {.n = 2, .pixels = 3, .x_channels = 3, .skip_channels = 5, .groups = 4}, true, true, true);
  const GroupNormInputs<double> in = group_norm_inputs<double>(test);
  const GroupNormOutputs<double> kept = group_norm_forward(test.params, in);
  const auto beside = random_surroundings<double>(test);
  GroupNormGradients<double> expected = gradients_of(test, in);
  for (size_t e = 0; e < expected.x.size(); ++e)
    expected.x[e] = expected.x[e] + beside.x_first[e] + beside.x_second[e];
  for (size_t e = 0; e < expected.skip.size(); ++e) expected.skip[e] += beside.skip_second[e];
  for (auto* gradient : {&expected.bias, &expected.gamma, &expected.beta})
    for (double& value : *gradient) value += 1;
  // The columns beside the slices keep what they held.
  const auto keep_columns = [](std::vector<double>& values, const std::vector<double>& held, int stride,
                               int width) {
    for (size_t e = 0; e < values.size(); ++e)
      if (int(e % stride) >= width) values[e] = held[e];
  };
  keep_columns(expected.shift, beside.shift, test.params.shift_stride, test.params.channels());
  keep_columns(expected.film, beside.film, test.params.film_stride, 2 * test.params.channels());
  EXPECT_EQ(group_norm_gradients(test, in, kept.mean, kept.rstd, beside), expected);
}

// E[x^2] - E[x]^2 would lose all of the variance here (1e8 against 1/3, with 24 bits).
TEST(GroupNormNumerics, LargeOffsetDoesNotCancel) {
  constexpr double kOffset = 1e4;
  const GroupNormCase test =
      group_norm_case("", {.n = 2, .pixels = 64, .x_channels = 4, .skip_channels = 4, .groups = 2});
  const GroupNormInputs<float> in = group_norm_inputs<float>(test, kOffset);
  const GroupNormInputs<double> same = to_double(in);
  const GroupNormOutputs<float> single = group_norm_forward(test.params, in);
  const GroupNormOutputs<double> exact = group_norm_forward(test.params, same);
  constexpr double kUnit = std::numeric_limits<float>::epsilon() / 2;
  for (size_t g = 0; g < exact.rstd.size(); ++g) {
    EXPECT_NEAR(exact.rstd[g], std::sqrt(3.0), 0.2);  // uniform in (-1, 1): variance 1/3, over 256 values
    EXPECT_NEAR(single.rstd[g], exact.rstd[g], 2 * kUnit * exact.rstd[g]);
    EXPECT_NEAR(single.mean[g], exact.mean[g], 1.01 * kUnit * exact.mean[g]);
  }
  // The inputs are the same numbers in both types. The mean is rounded to float, (1e4 + 1) u; times rstd *
  // gamma below 2 * 2.5 that is 3e-3, and everything after is relative to values of order ten.
  const double bound = (kOffset + 1) * kUnit * 2 * 2.5 + 10 * 10 * kUnit;
  for (size_t e = 0; e < exact.y.size(); ++e) EXPECT_NEAR(single.y[e], exact.y[e], bound) << e;
}

TEST(GroupNormNumerics, ConstantInputGivesBetaAndFiniteGradients) {
  const GroupNormCase test = group_norm_case(
      "", {.n = 1, .pixels = 4, .x_channels = 4, .groups = 2, .activation = Activation::kSilu});
  GroupNormInputs<double> in = group_norm_inputs<double>(test);
  in.x.assign(in.x.size(), 1e4);
  const GroupNormOutputs<double> out = group_norm_forward(test.params, in);
  for (size_t e = 0; e < out.y.size(); ++e) {
    const double beta = in.beta[e % 4];
    EXPECT_NEAR(out.y[e], beta / (1 + std::exp(-beta)), 1e-14);
  }
  for (const double g : gradients_of(test, in).x) EXPECT_TRUE(std::isfinite(g));
}

TEST(GroupNormNumerics, FloatMatchesDouble) {
  for (const GroupNormCase& test : group_norm_option_cases(1)) {
    const GroupNormInputs<float> in = group_norm_inputs<float>(test);
    const GroupNormInputs<double> same = to_double(in);
    const auto single = group_norm_forward(test.params, in).y;
    const auto exact = group_norm_forward(test.params, same).y;
    // The result is rounded once, and mean and rstd before: far less than ten roundings of values up
    // to some 50.
    const double bound = 10 * 50 * double(std::numeric_limits<float>::epsilon()) / 2;
    for (size_t e = 0; e < exact.size(); ++e)
      EXPECT_NEAR(single[e], exact[e], bound) << test.name << ' ' << e;
  }
}

TEST(GroupNormDropout, MaskDependsOnImageNotBatch) {
  // Step 3 of batches of 2 holds images 6 and 7; images 6 and 7 are also steps 6 and 7 of batches of 1.
  const GroupNormCase test =
      group_norm_case("", {.n = 2, .pixels = 50, .x_channels = 6, .groups = 2, .dropout = 0.25});
  const GroupNormInputs<double> in = group_norm_inputs<double>(test);
  const auto both = group_norm_forward(test.params, in).y;
  GroupNormParams one = test.params;
  one.n = 1;
  std::vector<double> apart;
  for (int64_t image = 0; image < 2; ++image) {
    const int64_t step = 6 + image;
    Output<double> y(one.elements()), mean(2), rstd(2);
    group_norm<double>(one, {.x = in.x.data() + image * one.elements(),
                             .skip = nullptr,
                             .shift = nullptr,
                             .bias = nullptr,
                             .gamma = in.gamma.data(),
                             .beta = in.beta.data(),
                             .film = nullptr,
                             .y = y.data(),
                             .mean = mean.data(),
                             .rstd = rstd.data(),
                             .dropout = {kDropoutSeed, &step}});
    const auto values = y.values();
    apart.insert(apart.end(), values.begin(), values.end());
  }
  EXPECT_EQ(apart, both);
  // 600 draws at 1/4: mean 150, standard deviation 10.6; five of those on either side.
  EXPECT_NEAR(double(std::count(both.begin(), both.end(), 0.0)), 150, 53);
}

}  // namespace
}  // namespace ddpm::reference
