// The fully connected layer and the time embedding.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/finite_difference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {
namespace {

std::vector<double> forward(const LinearParams& s, const std::vector<double>& x,
                            const std::vector<double>& weight, const std::vector<double>& bias) {
  Output<double> y(int64_t{s.n} * s.out);
  linear<double>(s, {x.data(), weight.data(), data_or_null(bias), nullptr, y.data()});
  return y.values();
}

class Linear : public ::testing::TestWithParam<LinearParams> {};
INSTANTIATE_TEST_SUITE_P(
    Shapes, Linear,
    ::testing::Values(LinearParams{.n = 3, .in = 5, .out = 4},
                      LinearParams{.n = 2, .in = 21, .out = 3, .input_activation = Activation::kSilu},
                      LinearParams{.n = 1, .in = 1, .out = 1, .input_activation = Activation::kSilu}));

TEST_P(Linear, MatchesDefinition) {
  const LinearParams s = GetParam();
  const auto x = random_values(int64_t{s.n} * s.in, 1), weight = random_values(int64_t{s.out} * s.in, 2);
  const auto bias = random_values(s.out, 3);
  const auto y = forward(s, x, weight, bias);
  for (int n = 0; n < s.n; ++n)
    for (int o = 0; o < s.out; ++o) {
      double expected = bias[o];
      for (int i = 0; i < s.in; ++i) {
        const double value = x[n * s.in + i];
        const double active =
            s.input_activation == Activation::kSilu ? value / (1 + std::exp(-value)) : value;
        expected += weight[o * s.in + i] * active;
      }
      EXPECT_NEAR(y[n * s.out + o], expected, 1e-14);  // some tens of roundings of values of order one
    }
}

TEST_P(Linear, GradientsMatchFiniteDifferences) {
  const LinearParams s = GetParam();
  auto x = random_values(int64_t{s.n} * s.in, 1), weight = random_values(int64_t{s.out} * s.in, 2);
  auto bias = random_values(s.out, 3);
  const auto dy = random_values(int64_t{s.n} * s.out, 4);
  const auto loss = [&] { return inner_product(forward(s, x, weight, bias), dy); };
  // Parameter gradients are added to what is there.
  Output<double> dx(int64_t(x.size()));
  Output<double> dweight(std::vector<double>(weight.size(), 1.0)),
      dbias(std::vector<double>(bias.size(), 1.0));
  linear_backward<double>(s, {dy.data(), x.data(), weight.data(), dx.data(), dweight.data(), dbias.data()});
  auto weight_gradient = dweight.values(), bias_gradient = dbias.values();
  for (double& value : weight_gradient) value -= 1;
  for (double& value : bias_gradient) value -= 1;
  expect_gradient("x", x, dx.values(), loss);
  expect_gradient("weight", weight, weight_gradient, loss);
  expect_gradient("bias", bias, bias_gradient, loss);
}

TEST_P(Linear, AddsResidualInPlaceAndSkipsNullGradients) {
  const LinearParams s = GetParam();
  const auto x = random_values(int64_t{s.n} * s.in, 1), weight = random_values(int64_t{s.out} * s.in, 2);
  const auto residual = random_values(int64_t{s.n} * s.out, 3);
  Output<double> y(residual);
  linear<double>(s, {x.data(), weight.data(), nullptr, y.data(), y.data()});
  auto expected = forward(s, x, weight, {});
  for (size_t e = 0; e < expected.size(); ++e) expected[e] += residual[e];
  EXPECT_EQ(y.values(), expected);

  Output<double> dweight(std::vector<double>(weight.size(), 0.0));
  linear_backward<double>(s, {residual.data(), x.data(), weight.data(), nullptr, dweight.data(), nullptr});
  dweight.values();
}

std::vector<double> embed(const TimeEmbeddingParams& s, const std::vector<double>& t,
                          const std::vector<double>& frequencies = {}) {
  Output<double> y(int64_t{s.n} * s.channels);
  time_embedding<double>(s, {t.data(), data_or_null(frequencies), y.data()});
  return y.values();
}

TEST(TimeEmbedding, HoEtAl) {
  // channels 4, shift 1: frequencies 1 and 10000^-1.
  const auto y = embed({.n = 2, .channels = 4}, {0, 7});
  expect_all_near(y, {0, 0, 1, 1, std::sin(7.0), std::sin(7e-4), std::cos(7.0), std::cos(7e-4)}, 1e-15);
}

TEST(TimeEmbedding, OpenAiOrderAndOddWidth) {
  // channels 5, shift 0: frequencies 1 and 100^(-1/2); the fifth column is 0.
  const auto y = embed(
      {.n = 1, .channels = 5, .order = TimeEmbeddingOrder::kCosSin, .frequency_shift = 0, .max_period = 100},
      {3});
  expect_all_near(y, {std::cos(3.0), std::cos(0.3), std::sin(3.0), std::sin(0.3), 0}, 1e-15);
}

TEST(TimeEmbedding, FourierWithAndWithoutLogarithm) {
  const std::vector<double> frequencies = {0.5, 2};
  const double pi = std::numbers::pi;
  expect_all_near(embed({.n = 1, .channels = 4}, {0.3}, frequencies),
                  {std::sin(0.3 * pi), std::sin(1.2 * pi), std::cos(0.3 * pi), std::cos(1.2 * pi)}, 1e-15);
  const double log_t = std::log(0.3);
  expect_all_near(
      embed({.n = 1, .channels = 4, .log_time = true}, {0.3}, frequencies),
      {std::sin(log_t * pi), std::sin(4 * log_t * pi), std::cos(log_t * pi), std::cos(4 * log_t * pi)},
      4e-15);
}

TEST(TimeEmbedding, FloatIsRoundedDouble) {
  const TimeEmbeddingParams s{.n = 1, .channels = 32};
  const std::vector<float> t = {999};
  Output<float> y(32);
  time_embedding<float>(s, {t.data(), nullptr, y.data()});
  const auto exact = embed(s, {999});
  const auto values = y.values();
  for (size_t i = 0; i < 32; ++i) EXPECT_EQ(values[i], float(exact[i])) << i;
}

}  // namespace
}  // namespace ddpm::reference
