// One optimizer step against the reference in double.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cpu/float_test.h"

namespace ddpm::cpu {
namespace {

template <typename T>
struct State {
  std::vector<T> w, m, v, ema, norm, learning_rate;
  bool operator==(const State&) const = default;
};

State<float> initial_state(int64_t count) {
  State<float> state{random_values<float>(count, 1),
                     random_values<float>(count, 2),
                     random_values<float>(count, 3, 1.5),
                     random_values<float>(count, 4),
                     {},
                     {}};
  for (float& m : state.m) m *= 0.1F;
  for (float& v : state.v) v *= 0.01F;
  return state;
}

template <typename T, typename Operation>
State<T> step(const Operation& operation, const AdamParams& s, int64_t k, const std::vector<T>& gradients,
              const State<T>& before) {
  Output<T> w(before.w), m(before.m), v(before.v), ema(before.ema), norm(1), learning_rate(1);
  operation(s, AdamEmaArgs<T>{&k, gradients.data(), w.data(), m.data(), v.data(), ema.data(), norm.data(),
                              learning_rate.data()});
  return {w.values(), m.values(), v.values(), ema.values(), norm.values(), learning_rate.values()};
}

struct Case {
  std::string name;
  AdamParams params;
};

class AdamEma : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    Options, AdamEma,
    ::testing::Values(Case{"Defaults", {.count = 37}}, Case{"NoClipping", {.count = 37, .clip_norm = 0}},
                      Case{"WeightDecay", {.count = 37, .learning_rate = 0.1, .weight_decay = 0.3}},
                      Case{"WarmUp", {.count = 37, .learning_rate = 0.1, .warmup_steps = 9}},
                      Case{"EmaRamp", {.count = 37, .learning_rate = 0.1, .ema_ramp = true}},
                      Case{"SeveralBlocks", {.count = 40001, .learning_rate = 0.01}}),
    [](const auto& i) { return i.param.name; });

TEST_P(AdamEma, MatchesReference) {
  const AdamParams& s = GetParam().params;
  constexpr int64_t k = 5;
  const State<float> before = initial_state(s.count);
  const auto gradients = random_values<float>(s.count, 7, 0.1);
  const State<float> actual =
      same_for_any_threads([&] { return step<float>(adam_ema, s, k, gradients, before); });
  const State<double> old{
      to_double(before.w), to_double(before.m), to_double(before.v), to_double(before.ema), {}, {}};
  const State<double> expected = step<double>(reference::adam_ema<double>, s, k, to_double(gradients), old);

  constexpr double u = kSlack * kUnit;
  expect_within("norm", to_double(actual.norm), expected.norm, [&](size_t) { return u * expected.norm[0]; });
  expect_within("learning rate", to_double(actual.learning_rate), expected.learning_rate,
                [&](size_t) { return u * expected.learning_rate[0]; });

  const double clip = s.clip_norm > 0 ? std::min(1.0, s.clip_norm / (expected.norm[0] + 1e-6)) : 1;
  const double lr = expected.learning_rate[0];
  // |beta1 m| + |(1 - beta1) g|. Each term has a coefficient and a product rounded, the sum once, and
  // g twice before.
  const auto m_size = [&](size_t i) {
    return s.beta1 * std::abs(old.m[i]) + (1 - s.beta1) * std::abs(clip * gradients[i]);
  };
  const auto m_bound = [&](size_t i) { return 5 * u * m_size(i); };
  expect_within("m", to_double(actual.m), expected.m, m_bound);
  // g enters twice (4), with a coefficient, two products and the sum.
  expect_within("v", to_double(actual.v), expected.v, [&](size_t i) { return 8 * u * expected.v[i]; });
  // The update lr mhat / (sqrt(vhat) + eps): v's 8, two for its correction, halved by the root, which rounds
  // once, and two for eps make 8 of the denominator; then the step size, its product with m and the quotient.
  const auto w_bound = [&](size_t i) {
    const double root = std::sqrt(expected.v[i] / (1 - std::pow(s.beta2, k + 1)));
    const double update = lr / (1 - std::pow(s.beta1, k + 1)) * m_size(i) / (root + s.eps);
    // The decayed weight has three roundings of a part of w and one of w; the subtraction of the
    // update is another.
    return u * ((5 + 8 + 3 + 1) * update + (3 * lr * s.weight_decay + 2) * std::abs(old.w[i]));
  };
  expect_within("w", to_double(actual.w), expected.w, w_bound);
  expect_within("ema", to_double(actual.ema), expected.ema, [&](size_t i) {
    const double d = s.ema_ramp ? std::min(s.ema_decay, (1.0 + k) / (10.0 + k)) : s.ema_decay;
    return 3 * u * (d * std::abs(old.ema[i]) + (1 - d) * std::abs(expected.w[i])) + (1 - d) * w_bound(i);
  });
}

TEST(AdamEmaStep, ReportsNormOfManyEqualGradients) {
  const AdamParams s{.count = 100000, .clip_norm = 0};
  const auto state = step<float>(adam_ema, s, 0, std::vector<float>(s.count, 0.1F), initial_state(s.count));
  EXPECT_EQ(state.norm[0], float(double(0.1F) * std::sqrt(1e5)));
}

TEST(AdamEmaStep, PropagatesNaNToTheNorm) {
  const AdamParams s{.count = 3};
  int64_t k = 0;
  auto state = initial_state(s.count);
  const std::vector<float> gradients = {0, std::numeric_limits<float>::quiet_NaN(), 1};
  float norm = 0, learning_rate = 0;
  adam_ema(s, {&k, gradients.data(), state.w.data(), state.m.data(), state.v.data(), state.ema.data(), &norm,
               &learning_rate});
  EXPECT_TRUE(std::isnan(norm));
}

}  // namespace
}  // namespace ddpm::cpu
