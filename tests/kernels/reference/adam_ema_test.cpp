// The optimizer against the formulas in its header, one parameter at a time in long double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {
namespace {

template <typename T>
struct State {
  std::vector<T> w, m, v, ema;
  double norm = 0, learning_rate = 0;
};

template <typename T>
State<T> initial_state(int64_t count) {
  const auto w = random_values<T>(count, 1);
  return {w, std::vector<T>(count, T{0}), std::vector<T>(count, T{0}), w};
}

template <typename T>
State<T> optimize(const AdamParams& s, int64_t step, const std::vector<T>& gradients,
                  const State<T>& before) {
  Output<T> w(before.w), m(before.m), v(before.v), ema(before.ema), norm(1), learning_rate(1);
  adam_ema<T>(s, {&step, gradients.data(), w.data(), m.data(), v.data(), ema.data(), norm.data(),
                  learning_rate.data()});
  return {w.values(),
          m.values(),
          v.values(),
          ema.values(),
          double(norm.values()[0]),
          double(learning_rate.values()[0])};
}

// The lines of the header, in their order.
State<long double> formulas(const AdamParams& s, int64_t k, std::vector<long double> g,
                            State<long double> state) {
  long double squares = 0;
  for (const long double value : g) squares += value * value;
  state.norm = double(std::sqrt(squares));
  const long double clip =
      s.clip_norm > 0 ? std::min(1.0L, s.clip_norm / (std::sqrt(squares) + 1e-6L)) : 1.0L;
  const long double rate =
      s.learning_rate * (s.warmup_steps > 0 ? std::min(1.0L, (k + 1.0L) / s.warmup_steps) : 1.0L);
  state.learning_rate = double(rate);
  const long double decay =
      s.ema_ramp ? std::min<long double>(s.ema_decay, (1.0L + k) / (10.0L + k)) : s.ema_decay;
  for (size_t i = 0; i < g.size(); ++i) {
    g[i] *= clip;
    state.m[i] = s.beta1 * state.m[i] + (1 - s.beta1) * g[i];
    state.v[i] = s.beta2 * state.v[i] + (1 - s.beta2) * g[i] * g[i];
    const long double mhat = state.m[i] / (1 - std::pow(static_cast<long double>(s.beta1), k + 1));
    const long double vhat = state.v[i] / (1 - std::pow(static_cast<long double>(s.beta2), k + 1));
    state.w[i] -= rate * s.weight_decay * state.w[i];
    state.w[i] -= rate * mhat / (std::sqrt(vhat) + s.eps);
    state.ema[i] = decay * state.ema[i] + (1 - decay) * state.w[i];
  }
  return state;
}

template <typename T>
std::vector<long double> widen(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

struct Case {
  std::string name;
  AdamParams params;
};

class AdamEma : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    Options, AdamEma,
    ::testing::Values(Case{"Defaults", {.count = 37}}, Case{"NoClipping", {.count = 37, .clip_norm = 0}},
                      Case{"GenerousClipping", {.count = 37, .clip_norm = 1e6}},
                      Case{"WeightDecay", {.count = 37, .learning_rate = 0.1, .weight_decay = 0.3}},
                      Case{"WarmUp", {.count = 37, .learning_rate = 0.1, .warmup_steps = 4}},
                      Case{"EmaRamp",
                           {.count = 37, .learning_rate = 0.1, .ema_decay = 0.25, .ema_ramp = true}},
                      Case{"OtherBetas", {.count = 37, .beta1 = 0.5, .beta2 = 0.9, .eps = 1e-3}},
                      Case{"SeveralBlocks", {.count = 40001}}),
    [](const auto& i) { return i.param.name; });

template <typename T>
void expect_formulas(const AdamParams& s, double bound) {
  State<T> state = initial_state<T>(s.count);
  State<long double> expected{widen(state.w), widen(state.m), widen(state.v), widen(state.ema)};
  for (int64_t k = 0; k < 6; ++k) {
    const auto gradients = random_values<T>(s.count, uint32_t(10 + k), 0.1);
    state = optimize(s, k, gradients, state);
    expected = formulas(s, k, widen(gradients), expected);
    EXPECT_NEAR(state.norm, expected.norm, bound * expected.norm);
    EXPECT_NEAR(state.learning_rate, expected.learning_rate, bound * expected.learning_rate);
    for (size_t i = 0; i < state.w.size(); ++i) {
      ASSERT_NEAR(state.w[i], double(expected.w[i]), bound) << i;
      ASSERT_NEAR(state.m[i], double(expected.m[i]), bound) << i;
      ASSERT_NEAR(state.v[i], double(expected.v[i]), bound) << i;
      ASSERT_NEAR(state.ema[i], double(expected.ema[i]), bound) << i;
    }
  }
}

TEST_P(AdamEma, MatchesFormulas) {
  // About ten roundings per step of values of order one, six steps.
  expect_formulas<double>(GetParam().params, 60 * std::numeric_limits<double>::epsilon());
  expect_formulas<float>(GetParam().params, 60 * double(std::numeric_limits<float>::epsilon()));
}

TEST(AdamEmaStep, ClipsAndReportsTheNormBeforeClipping) {
  // One parameter with gradient 8: after clipping to 1, m and v are those of 8 / (8 + 1e-6).
  const AdamParams s{.count = 1, .clip_norm = 1};
  const auto state = optimize<double>(s, 0, {8}, initial_state<double>(1));
  EXPECT_EQ(state.norm, 8);
  EXPECT_NEAR(state.m[0], 0.1 * 8 / (8 + 1e-6), 1e-15);
}

TEST(AdamEmaStep, FirstStepMovesByTheLearningRate) {
  // mhat / sqrt(vhat) is the sign of the gradient at the first step, whatever its size.
  const AdamParams s{.count = 2, .learning_rate = 0.25, .eps = 0, .clip_norm = 0};
  const auto before = initial_state<double>(2);
  const auto after = optimize<double>(s, 0, {1e-3, -50}, before);
  EXPECT_NEAR(after.w[0], before.w[0] - 0.25, 1e-15);
  EXPECT_NEAR(after.w[1], before.w[1] + 0.25, 1e-15);
}

TEST(AdamEmaStep, ZeroGradientChangesOnlyTheEma) {
  const AdamParams s{.count = 5, .ema_decay = 0.5};
  auto before = initial_state<float>(5);
  before.ema.assign(5, 0);
  const auto after = optimize<float>(s, 0, std::vector<float>(5, 0.0F), before);
  EXPECT_EQ(after.w, before.w);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(after.ema[i], before.w[i] / 2);
}

// Sums of 1e5 equal floats drift in float; the norm must not.
TEST(AdamEmaStep, NormOfManyParametersIsExact) {
  const AdamParams s{.count = 100000, .clip_norm = 0};
  const auto state = optimize<float>(s, 0, std::vector<float>(100000, 0.1F), initial_state<float>(100000));
  EXPECT_NEAR(state.norm, double(0.1F) * std::sqrt(1e5), 32 * double(std::numeric_limits<float>::epsilon()));
}

TEST(AdamEmaStep, PropagatesNaNToTheNorm) {
  const AdamParams s{.count = 3};
  const int64_t step = 0;
  const std::vector<float> gradients = {0, std::numeric_limits<float>::quiet_NaN(), 1};
  auto state = initial_state<float>(3);
  float norm = 0, learning_rate = 0;
  adam_ema<float>(s, {&step, gradients.data(), state.w.data(), state.m.data(), state.v.data(),
                      state.ema.data(), &norm, &learning_rate});
  EXPECT_TRUE(std::isnan(norm));
}

}  // namespace
}  // namespace ddpm::reference
