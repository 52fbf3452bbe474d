// The sampler step: its matrix, what it leaves alone and where its noise comes from; and the thresholds of
// dynamic thresholding.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNothing = kInfinity;  // unwritten history; times 0 it is NaN

using Row = SamplerRow<double>;
using Table = std::vector<Row>;

Row row() {
  Row r = {};
  r.timestep = 40;
  r.x0_from_x = 1.25;
  r.x0_from_output = -0.75;
  r.clip_range = kInfinity;
  r.x = {.x = 0.5, .output = -0.2, .x0 = 0.3, .history = {}};
  return r;
}

struct State {
  std::vector<double> x, history, network_input, t;
};

State start(const SamplerStepParams& s, const Table& table, int64_t first_image) {
  Output<double> x(s.elements()), input(s.elements()), t(s.n);
  sampler_start<double>(s, {table.data(), &first_image, x.data(), input.data(), t.data()});
  return {x.values(), {}, input.values(), t.values()};
}

struct Before {
  std::vector<double> x, output;
  std::vector<double> history{};
  std::vector<double> threshold{};
  int64_t first_image = 0;
};

State step(const SamplerStepParams& s, const Table& table, int64_t index, const Before& before) {
  Output<double> x(before.x), input(s.elements()), t(std::vector<double>(s.n, -1.0));
  std::vector<double> history = before.history;
  if (history.empty()) history.assign(s.history_size * s.elements(), kNothing);
  Output<double> kept(history);
  sampler_step<double>(s, {.output = before.output.data(),
                           .table = table.data(),
                           .index = &index,
                           .first_image = &before.first_image,
                           .x = x.data(),
                           .history = s.history_size > 0 ? kept.data() : nullptr,
                           .threshold = before.threshold.empty() ? nullptr : before.threshold.data(),
                           .network_input = input.data(),
                           .t = t.data()});
  return {x.values(), kept.values(), input.values(), t.values()};
}

TEST(SamplerStep, AppliesItsMatrix) {
  const SamplerStepParams s{.n = 2, .h = 3, .w = 2, .c = 3, .history_size = 3};
  const auto x = random_values(s.elements(), 1), output = random_values(s.elements(), 2);
  const auto history = random_values(3 * s.elements(), 3);
  for (const double clip_range : {kInfinity, 0.5}) {
    Row r = row();
    r.clip_range = clip_range;
    r.x.history[0] = 0.7;
    r.x.history[2] = -0.9;
    r.history[0] = {.x = 0.1, .output = 0.2, .x0 = 0.4, .history = {0.8, -1.6, 3.2}};
    r.history[2] = {.x = 0, .output = 0, .x0 = 1, .history = {}};
    const State after = step(s, {r}, 0, {.x = x, .output = output, .history = history});
    const int64_t n = s.elements();
    for (int64_t e = 0; e < n; ++e) {
      const double x0 = std::clamp(1.25 * x[e] - 0.75 * output[e], -clip_range, clip_range);
      // Some ten roundings of values of order one.
      EXPECT_NEAR(after.x[e],
                  0.5 * x[e] - 0.2 * output[e] + 0.3 * x0 + 0.7 * history[e] - 0.9 * history[2 * n + e],
                  1e-14);
      EXPECT_NEAR(after.history[e],
                  0.1 * x[e] + 0.2 * output[e] + 0.4 * x0 + 0.8 * history[e] - 1.6 * history[n + e] +
                      3.2 * history[2 * n + e],
                  1e-14);
      EXPECT_EQ(after.history[n + e], history[n + e]);  // a row of zeros keeps it
      EXPECT_EQ(after.history[2 * n + e], x0);
    }
    EXPECT_EQ(after.network_input, after.x);
  }
}

TEST(SamplerStep, SkipsTermsWithZeroWeight) {
  const SamplerStepParams s{.n = 1, .h = 2, .w = 2, .c = 1, .history_size = 2};
  Row r = row();
  r.history[1] = {.x = 0, .output = 0, .x0 = 1, .history = {}};
  const State after =
      step(s, {r}, 0, {.x = random_values(4, 1), .output = random_values(4, 2)});  // the history holds NaN
  for (int64_t e = 0; e < 4; ++e) {
    EXPECT_TRUE(std::isfinite(after.x[e]));
    EXPECT_EQ(after.history[e], kNothing);
    EXPECT_TRUE(std::isfinite(after.history[4 + e]));
  }
}

TEST(SamplerStep, ThresholdsClipAndRescaleEachImage) {
  const SamplerStepParams s{.n = 2, .h = 1, .w = 2, .c = 1};
  Row r = row();
  r.clip_range = 0.1;  // superseded
  r.x0_from_x = 0;
  r.x0_from_output = 1;
  r.x = {.x = 0, .output = 0, .x0 = 1, .history = {}};
  const State after = step(s, {r}, 0, {.x = {0, 0, 0, 0}, .output = {3, -0.5, 3, -0.5}, .threshold = {1, 2}});
  EXPECT_EQ(after.x, (std::vector<double>{1, -0.5, 1, -0.25}));
}

TEST(SamplerStep, UsesRowsInOrder) {
  Row first = row(), second = row();
  first.history[0] = {.x = 0, .output = 1, .x0 = 0, .history = {}};
  second.timestep = 20;
  second.x = {.x = 0, .output = 1, .x0 = 0, .history = {10, 0, 0}};
  const SamplerStepParams s{.n = 1, .h = 1, .w = 2, .c = 1, .steps = 2, .history_size = 1};
  const Table table = {first, second};
  EXPECT_EQ(start(s, table, 0).t, std::vector<double>{40});
  const State middle = step(s, table, 0, {.x = {0.1, 0.2}, .output = {1, 2}});
  EXPECT_EQ(middle.t, std::vector<double>{20});
  const State last = step(s, table, 1, {.x = middle.x, .output = {3, 4}, .history = middle.history});
  EXPECT_EQ(last.x, (std::vector<double>{3 + 10 * 1, 4 + 10 * 2}));
  EXPECT_EQ(last.t, std::vector<double>{-1});  // the last row keeps t
}

// Coefficients that leave only the noise.
Table noise_only(int steps) {
  Row r = row();
  r.x = {};
  r.noise = 2;
  return Table(steps, r);
}

TEST(SamplerNoise, IsStandardNormalAndIndependentPerStepAndImage) {
  const SamplerStepParams s{.n = 2, .h = 32, .w = 32, .c = 3, .steps = 2, .start_deviation = 2, .seed = 5};
  const Table table = noise_only(2);
  const std::vector<double> zeros(s.elements(), 0.0);
  const Before before = {.x = zeros, .output = zeros};
  const std::vector<std::vector<double>> draws = {start(s, table, 0).x, step(s, table, 0, before).x,
                                                  step(s, table, 1, before).x};
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

TEST(SamplerNoise, DependsOnImageNotBatch) {
  SamplerStepParams s{.n = 3, .h = 2, .w = 3, .c = 3, .steps = 2, .seed = 5};
  const Table table = noise_only(2);
  const std::vector<double> zeros(s.elements(), 0.0);
  const State begin = start(s, table, 4);
  const State after = step(s, table, 1, {.x = zeros, .output = zeros, .first_image = 4});
  SamplerStepParams one = s;
  one.n = 1;
  const int64_t elements = s.image_elements();
  for (int64_t j = 0; j < 3; ++j) {
    const auto slice = [&](const std::vector<double>& all) {
      return std::vector<double>(all.begin() + j * elements, all.begin() + (j + 1) * elements);
    };
    EXPECT_EQ(start(one, table, 4 + j).x, slice(begin.x)) << j;
    const Before before = {.x = slice(zeros), .output = slice(zeros), .first_image = 4 + j};
    EXPECT_EQ(step(one, table, 1, before).x, slice(after.x)) << j;
  }
}

TEST(SamplerNoise, SeedIsIrrelevantWithoutNoise) {
  SamplerStepParams s{.n = 1, .h = 2, .w = 2, .c = 3};
  const Before before = {.x = random_values(s.elements(), 1), .output = random_values(s.elements(), 2)};
  const auto after = step(s, {row()}, 0, before).x;
  s.seed = 77;
  EXPECT_EQ(step(s, {row()}, 0, before).x, after);
  EXPECT_NE(start(s, {row()}, 0).x, start({.n = 1, .h = 2, .w = 2, .c = 3}, {row()}, 0).x);
}

// The second half of the output channels moves the deviation between its bounds, on a logarithmic scale.
TEST(SamplerNoise, LearnedVarianceInterpolatesItsBounds) {
  SamplerStepParams s{.n = 2, .h = 2, .w = 1, .c = 2, .seed = 5};
  const std::vector<double> zeros(s.elements(), 0.0);
  const auto noise = step(s, noise_only(1), 0, {.x = zeros, .output = zeros}).x;
  s.output = SamplerOutput::kMeanAndLogVariance;
  Table table = noise_only(1);
  table[0].noise_range = std::log(9.0);
  for (const auto& [fraction, factor] : {std::pair{-1.0, 1.0}, {0.0, 3.0}, {1.0, 9.0}}) {
    std::vector<double> output;
    for (int64_t pixel = 0; pixel < 4; ++pixel) output.insert(output.end(), {5, 5, fraction, fraction});
    const auto after = step(s, table, 0, {.x = zeros, .output = output}).x;
    // exp(log 9) and the like are off by a rounding or two.
    for (size_t e = 0; e < noise.size(); ++e) EXPECT_NEAR(after[e], factor * noise[e], 1e-14 * factor);
  }
}

double threshold_of(const std::vector<double>& x0, double ratio, double max_value) {
  Row r = row();
  r.x0_from_x = 0;
  r.x0_from_output = 1;
  const std::vector<double> x(x0.size(), 0.0);
  const int64_t index = 0;
  Output<double> threshold(1);
  dynamic_threshold<double>(
      {.step = {.n = 1, .h = 1, .w = int(x0.size()), .c = 1}, .ratio = ratio, .max_value = max_value},
      {x0.data(), &r, &index, x.data(), threshold.data()});
  return threshold.values()[0];
}

TEST(DynamicThreshold, IsInterpolatedQuantileOfMagnitudes) {
  // numpy.quantile([4, 1, 2, 8, 16], q) by hand: position 4 q between the sorted magnitudes.
  const std::vector<double> x0 = {-4, 1, 2, -8, 16};
  EXPECT_EQ(threshold_of(x0, 0.5, 100), 4);
  EXPECT_EQ(threshold_of(x0, 0.75, 100), 8);
  EXPECT_DOUBLE_EQ(threshold_of(x0, 0.8, 100), 8 + 0.2 * 8);
  EXPECT_EQ(threshold_of(x0, 1, 100), 16);
  EXPECT_EQ(threshold_of(x0, 1, 5), 5);          // the maximum
  EXPECT_EQ(threshold_of({0.1, 0.2}, 1, 5), 1);  // never below 1
}

}  // namespace
}  // namespace ddpm::reference
