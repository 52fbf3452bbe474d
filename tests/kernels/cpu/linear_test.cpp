// The fully connected layer against the reference in double.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/reference/reference.h"
#include "kernels/reference/silu.h"
#include "tests/kernels/cpu/float_test.h"

namespace ddpm::cpu {
namespace {

const std::vector<LinearParams> kShapes = {
    {.n = 1, .in = 1, .out = 1},
    {.n = 3, .in = 37, .out = 5},
    {.n = 4, .in = 128, .out = 33, .input_activation = Activation::kSilu}};

// |f(x)| in double.
std::vector<double> absolute_activations(const LinearParams& s, const std::vector<float>& x) {
  std::vector<double> f = to_double(x);
  for (double& value : f)
    value = std::abs(s.input_activation == Activation::kSilu ? reference::silu(value) : value);
  return f;
}

std::vector<double> absolute(const std::vector<float>& values) {
  std::vector<double> result = to_double(values);
  for (double& value : result) value = std::abs(value);
  return result;
}

TEST(Linear, MatchesReference) {
  for (const LinearParams& s : kShapes) {
    const auto x = random_values<float>(int64_t{s.n} * s.in, 1),
               weight = random_values<float>(s.out * s.in, 2);
    const auto bias = random_values<float>(s.out, 3), residual = random_values<float>(s.n * s.out, 4);
    const auto y = same_for_any_threads([&] {
      Output<float> out(residual);  // residual in place
      linear(s, {x.data(), weight.data(), bias.data(), out.data(), out.data()});
      return out.values();
    });
    Output<double> expected(to_double(residual));
    reference::linear<double>(s, {to_double(x).data(), to_double(weight).data(), to_double(bias).data(),
                                  expected.data(), expected.data()});
    LinearParams plain = s;
    plain.input_activation = Activation::kNone;
    Output<double> magnitude(absolute(residual));
    reference::linear<double>(plain, {absolute_activations(s, x).data(), absolute(weight).data(),
                                      absolute(bias).data(), magnitude.data(), magnitude.data()});
    // A term passes SiLU, its product, the additions of its lane (one in 16 terms), four pairwise ones,
    // bias and residual.
    const double roundings = kSiluUnits + 1 + std::ceil(s.in / 16.0) + 4 + 2;
    const auto sizes = magnitude.values();
    expect_within("linear", to_double(y), expected.values(),
                  [&](size_t i) { return kSlack * roundings * kUnit * sizes[i]; });
  }
}

struct Gradients {
  std::vector<float> x, weight, bias;
  bool operator==(const Gradients&) const = default;
};

TEST(LinearBackward, MatchesReference) {
  for (const LinearParams& s : kShapes) {
    const auto x = random_values<float>(int64_t{s.n} * s.in, 1),
               weight = random_values<float>(s.out * s.in, 2);
    const auto dy = random_values<float>(s.n * s.out, 3);
    // The parameter gradients accumulate.
    const std::vector<float> weight_before(weight.size(), 1.0F), bias_before(s.out, 1.0F);
    const Gradients actual = same_for_any_threads([&] {
      Output<float> dx(int64_t(x.size())), dweight(weight_before), dbias(bias_before);
      linear_backward(s, {dy.data(), x.data(), weight.data(), dx.data(), dweight.data(), dbias.data()});
      return Gradients{dx.values(), dweight.values(), dbias.values()};
    });
    Output<double> dx(int64_t(x.size())), dweight(to_double(weight_before)), dbias(to_double(bias_before));
    reference::linear_backward<double>(
        s, {to_double(dy).data(), to_double(x).data(), to_double(weight).data(), dx.data(), dweight.data(),
            dbias.data()});

    // Sums of magnitudes: of dy W (before f') and of the terms of dweight and dbias with what was there.
    LinearParams plain = s;
    plain.input_activation = Activation::kNone;
    Output<double> dx_size(int64_t(x.size())), dweight_size(to_double(weight_before)),
        dbias_size(to_double(bias_before));
    reference::linear_backward<double>(
        plain, {absolute(dy).data(), absolute_activations(s, x).data(), absolute(weight).data(),
                dx_size.data(), dweight_size.data(), dbias_size.data()});
    const auto dx_sizes = dx_size.values(), dweight_sizes = dweight_size.values(),
               dbias_sizes = dbias_size.values();
    // dx: products and additions over out, then |f'| < 1.1 and its error below 7 |x| + 12
    // units (arithmetic_test).
    expect_within("dx", to_double(actual.x), dx.values(), [&](size_t i) {
      return kSlack * kUnit * dx_sizes[i] * (1.1 * (1 + s.out) + 7 * std::abs(x[i]) + 12 + 1);
    });
    expect_within("dweight", to_double(actual.weight), dweight.values(),
                  [&](size_t i) { return kSlack * kUnit * dweight_sizes[i] * (kSiluUnits + 1 + s.n); });
    // The sum over n is in double, rounded once, and added.
    expect_within("dbias", to_double(actual.bias), dbias.values(),
                  [&](size_t i) { return kSlack * kUnit * dbias_sizes[i] * 2; });
  }
}

TEST(LinearBackward, SkipsGradientsThatAreNull) {
  const LinearParams s{.n = 2, .in = 3, .out = 2};
  const auto x = random_values<float>(6, 1), weight = random_values<float>(6, 2),
             dy = random_values<float>(4, 3);
  Output<float> dweight(std::vector<float>(6, 0.0F)), alone(std::vector<float>(6, 0.0F)), dx(6),
      dbias(std::vector<float>(2, 0.0F));
  linear_backward(s, {dy.data(), x.data(), weight.data(), dx.data(), dweight.data(), dbias.data()});
  linear_backward(s, {dy.data(), x.data(), weight.data(), nullptr, alone.data(), nullptr});
  EXPECT_EQ(alone.values(), dweight.values());
}

}  // namespace
}  // namespace ddpm::cpu
