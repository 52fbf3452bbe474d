// The sampler's update: its algebra for each prediction type, and where its noise comes from.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> to_table(const std::vector<SamplerCoefficients>& rows) {
  std::vector<double> table;
  for (const SamplerCoefficients& r : rows)
    for (const double value :
         {r.timestep, r.signal, r.noise_level, r.clip_range, r.x0_coefficient, r.x_coefficient,
          r.epsilon_coefficient, r.previous_x0_coefficient, r.noise_coefficient})
      table.push_back(value);
  return table;
}

SamplerCoefficients row() {
  return {.timestep = 40,
          .signal = 0.8,
          .noise_level = 0.6,
          .clip_range = kInfinity,
          .x0_coefficient = 0.3,
          .x_coefficient = 0.5,
          .epsilon_coefficient = -0.2,
          .previous_x0_coefficient = 0,
          .noise_coefficient = 0};
}

struct State {
  std::vector<double> x, previous_x0, network_input, t;
};

State start(const SamplerStepShape& s, const std::vector<double>& table, int64_t first_image) {
  Output<double> x(s.elements()), input(s.elements()), t(s.n);
  sampler_start<double>(s, {table.data(), &first_image, x.data(), input.data(), t.data()});
  return {x.values(), {}, input.values(), t.values()};
}

State step(const SamplerStepShape& s, const std::vector<double>& table, int64_t index, int64_t first_image,
           const std::vector<double>& x, const std::vector<double>& output,
           const std::vector<double>& previous = {}) {
  Output<double> state(x), input(s.elements()), t(std::vector<double>(s.n, -1.0)), kept(s.elements());
  if (!previous.empty()) std::copy(previous.begin(), previous.end(), kept.data());
  sampler_step<double>(s, {output.data(), table.data(), &index, &first_image, state.data(),
                           s.keeps_previous_x0 ? kept.data() : nullptr, input.data(), t.data()});
  return {state.values(), s.keeps_previous_x0 ? kept.values() : std::vector<double>{}, input.values(),
          t.values()};
}

// From a known (x0, eps), what each kind of network would answer.
double answer(Prediction prediction, double x0, double eps, const SamplerCoefficients& r) {
  if (prediction == Prediction::kEpsilon) return eps;
  if (prediction == Prediction::kSample) return x0;
  return r.signal * eps - r.noise_level * x0;
}

class SamplerStep : public ::testing::TestWithParam<Prediction> {};
INSTANTIATE_TEST_SUITE_P(Predictions, SamplerStep,
                         ::testing::Values(Prediction::kEpsilon, Prediction::kSample, Prediction::kVelocity));

TEST_P(SamplerStep, CombinesTheTrueX0AndNoise) {
  SamplerCoefficients r = row();
  for (const double clip_range : {kInfinity, 0.5}) {
    r.clip_range = clip_range;
    const SamplerStepShape s{
        .n = 2, .h = 3, .w = 2, .c = 3, .prediction = GetParam(), .keeps_previous_x0 = true};
    const auto x0 = random_values(s.elements(), 1), eps = random_values(s.elements(), 2);
    std::vector<double> x, output;
    for (size_t e = 0; e < x0.size(); ++e) {
      x.push_back(r.signal * x0[e] + r.noise_level * eps[e]);
      output.push_back(answer(GetParam(), x0[e], eps[e], r));
    }
    // previous_x0 holds NaN before the first update: a coefficient of 0 must keep it out.
    const State after = step(s, to_table({r}), 0, 0, x, output);
    for (size_t e = 0; e < x0.size(); ++e) {
      const double clipped = std::min(clip_range, std::max(-clip_range, x0[e]));
      // Some ten roundings of values of order one, and a division by 0.6.
      EXPECT_NEAR(after.x[e], 0.3 * clipped + 0.5 * x[e] - 0.2 * eps[e], 1e-14);
      EXPECT_NEAR(after.previous_x0[e], clipped, 1e-14);
    }
    EXPECT_EQ(after.network_input, after.x);
  }
}

TEST_P(SamplerStep, IsLinearWithoutClippingAndNoise) {
  const SamplerStepShape s{.n = 1, .h = 2, .w = 2, .c = 3, .prediction = GetParam()};
  const auto table = to_table({row()});
  const auto x = random_values(s.elements(), 1), z = random_values(s.elements(), 2);
  const auto f = random_values(s.elements(), 3), g = random_values(s.elements(), 4);
  std::vector<double> sum_x, sum_output;
  for (size_t e = 0; e < x.size(); ++e) {
    sum_x.push_back(2 * x[e] - z[e]);
    sum_output.push_back(2 * f[e] - g[e]);
  }
  const auto first = step(s, table, 0, 0, x, f).x, second = step(s, table, 0, 0, z, g).x;
  const auto combined = step(s, table, 0, 0, sum_x, sum_output).x;
  for (size_t e = 0; e < x.size(); ++e) EXPECT_NEAR(combined[e], 2 * first[e] - second[e], 1e-14);
}

TEST(SamplerSequence, RowsAndPreviousX0AreTakenInTurn) {
  SamplerCoefficients first = row(), second = row();
  second.timestep = 20;
  second.x_coefficient = 0;
  second.epsilon_coefficient = 0;
  second.x0_coefficient = 1;
  second.previous_x0_coefficient = 10;
  const SamplerStepShape s{.n = 1,
                           .h = 1,
                           .w = 2,
                           .c = 1,
                           .steps = 2,
                           .prediction = Prediction::kSample,
                           .keeps_previous_x0 = true};
  const auto table = to_table({first, second});
  EXPECT_EQ(start(s, table, 0).t, std::vector<double>{40});
  const State middle = step(s, table, 0, 0, {0.1, 0.2}, {1, 2});
  EXPECT_EQ(middle.t, std::vector<double>{20});
  EXPECT_EQ(middle.previous_x0, (std::vector<double>{1, 2}));
  const State last = step(s, table, 1, 0, middle.x, {3, 4}, middle.previous_x0);
  EXPECT_EQ(last.x, (std::vector<double>{3 + 10 * 1, 4 + 10 * 2}));
  EXPECT_EQ(last.t, std::vector<double>{-1});  // the last row leaves t as it was
}

// Coefficients that leave nothing but the noise.
std::vector<double> noise_only(int steps) {
  SamplerCoefficients r = row();
  r.x0_coefficient = r.x_coefficient = r.epsilon_coefficient = 0;
  r.noise_coefficient = 2;
  return to_table(std::vector<SamplerCoefficients>(steps, r));
}

TEST(SamplerNoise, IsStandardNormalAndNewAtEachStepAndImage) {
  const SamplerStepShape s{.n = 2, .h = 32, .w = 32, .c = 3, .steps = 2, .seed = 5};
  const auto table = noise_only(2);
  const std::vector<double> zeros(s.elements(), 0.0);
  std::vector<std::vector<double>> draws = {start(s, table, 0).x, step(s, table, 0, 0, zeros, zeros).x,
                                            step(s, table, 1, 0, zeros, zeros).x};
  for (double& value : draws[0]) value *= 2;
  const double count = double(s.elements());
  for (size_t a = 0; a < draws.size(); ++a) {
    // Five standard deviations of the mean, the mean square and the correlation of 2 z, z ~ N(0, 1).
    double sum = 0;
    for (const double value : draws[a]) sum += value;
    EXPECT_NEAR(sum / count, 0, 2 * 5 / std::sqrt(count));
    EXPECT_NEAR(inner_product(draws[a], draws[a]) / count, 4, 4 * 5 * std::sqrt(2 / count));
    for (size_t b = 0; b < a; ++b)
      EXPECT_NEAR(inner_product(draws[a], draws[b]) / count, 0, 4 * 5 / std::sqrt(count)) << a << ' ' << b;
    const std::vector<double> one(draws[a].begin(), draws[a].begin() + s.image_elements());
    const std::vector<double> other(draws[a].begin() + s.image_elements(), draws[a].end());
    EXPECT_NEAR(inner_product(one, other) / (count / 2), 0, 4 * 5 / std::sqrt(count / 2)) << a;
  }
}

TEST(SamplerNoise, BelongsToTheImageNotToTheBatch) {
  SamplerStepShape s{.n = 3, .h = 2, .w = 3, .c = 3, .steps = 2, .seed = 5};
  const auto table = noise_only(2);
  const std::vector<double> zeros(s.elements(), 0.0);
  const State begin = start(s, table, 4), after = step(s, table, 1, 4, zeros, zeros);
  SamplerStepShape one = s;
  one.n = 1;
  const int64_t elements = s.image_elements();
  for (int64_t j = 0; j < 3; ++j) {
    const auto slice = [&](const std::vector<double>& all) {
      return std::vector<double>(all.begin() + j * elements, all.begin() + (j + 1) * elements);
    };
    EXPECT_EQ(start(one, table, 4 + j).x, slice(begin.x)) << j;
    EXPECT_EQ(step(one, table, 1, 4 + j, slice(zeros), slice(zeros)).x, slice(after.x)) << j;
  }
}

TEST(SamplerNoise, WithoutNoiseTheSeedDoesNotMatter) {
  SamplerStepShape s{.n = 1, .h = 2, .w = 2, .c = 3};
  const auto table = to_table({row()});
  const auto x = random_values(s.elements(), 1), output = random_values(s.elements(), 2);
  const auto before = step(s, table, 0, 0, x, output).x;
  s.seed = 77;
  EXPECT_EQ(step(s, table, 0, 9, x, output).x, before);
  EXPECT_NE(start(s, table, 0).x, start({.n = 1, .h = 2, .w = 2, .c = 3}, table, 0).x);
}

}  // namespace
}  // namespace ddpm::reference
