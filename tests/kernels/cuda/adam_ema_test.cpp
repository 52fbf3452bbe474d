// The optimizer step against the reference in double, from the same float state.
#include "kernels/cuda/kernels.h"
#include "kernels/reference/reference.h"
#include "support/error_types.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

using reference::random_values;

struct State {
  std::vector<float> w, m, v, ema;
};

struct Result {
  State state;
  std::vector<BFloat16> compute_weights;
  double norm = 0, learning_rate = 0;
};

bool operator==(const Result& a, const Result& b) {
  return a.state.w == b.state.w && a.state.m == b.state.m && a.state.v == b.state.v &&
         a.state.ema == b.state.ema && a.norm == b.norm && a.learning_rate == b.learning_rate &&
         widened(a.compute_weights) == widened(b.compute_weights);
}

enum class Copy { kNone, kBFloat16 };

Result optimize(const AdamParams& s, int64_t step, const std::vector<float>& gradients, const State& before,
                StreamView stream, Copy copy = Copy::kBFloat16) {
  const Guarded<int64_t> counter(std::vector<int64_t>{step}, stream);
  const Guarded<float> g(gradients, stream), w(before.w, stream), m(before.m, stream), v(before.v, stream);
  const Guarded<float> ema(before.ema, stream), norm(1, stream), learning_rate(1, stream);
  const Guarded<BFloat16> compute_weights(copy == Copy::kNone ? 0 : s.count, stream);
  const Guarded<unsigned char> scratch(int64_t(cuda::adam_ema_scratch_bytes(s)), stream);
  cuda::adam_ema(
      s,
      {counter.data(), g.data(), w.data(), m.data(), v.data(), ema.data(), norm.data(), learning_rate.data()},
      copy == Copy::kNone ? nullptr : compute_weights.data(), scratch.data(), stream);
  static_cast<void>(scratch.values(stream));  // its guards
  return {{w.values(stream), m.values(stream), v.values(stream), ema.values(stream)},
          compute_weights.values(stream),
          norm.values(stream)[0],
          learning_rate.values(stream)[0]};
}

State initial_state(int64_t count) {
  const std::vector<float> w = rounded<float>(random_values(count, 1));
  auto v = rounded<float>(random_values(count, 2, 1.5));
  for (float& value : v) value *= 1e-3F;
  return {w, rounded<float>(random_values(count, 3)), v, w};
}

struct Case {
  const char* name;
  AdamParams params;
  int64_t step = 0;
};

class AdamEma : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    Options, AdamEma,
    testing::Values(Case{"Defaults", {.count = 36}}, Case{"NoClipping", {.count = 36, .clip_norm = 0}, 7},
                    Case{"GenerousClipping", {.count = 36, .clip_norm = 1e6}, 100000},
                    Case{"WeightDecay", {.count = 36, .learning_rate = 0.1, .weight_decay = 0.3}, 3},
                    Case{"WarmUp", {.count = 36, .learning_rate = 0.1, .warmup_steps = 5000}, 17},
                    Case{"EmaRamp", {.count = 36, .learning_rate = 0.1, .ema_decay = 0.25, .ema_ramp = true}},
                    Case{"OtherBetas", {.count = 36, .beta1 = 0.5, .beta2 = 0.9, .eps = 1e-3}, 2},
                    Case{"SeveralBlocks", {.count = 3 * 4096 + 20}, 12}),
    [](const auto& i) { return i.param.name; });

TEST_P(AdamEma, MatchesReference) {
  const auto& [name, s, step] = GetParam();
  const auto gradients = rounded<float>(random_values(s.count, 4, 0.1));
  const State before = initial_state(s.count);
  const Result result =
      same_in_every_order([&](StreamView stream) { return optimize(s, step, gradients, before, stream); });

  auto w = widened(before.w), m = widened(before.m), v = widened(before.v), ema = widened(before.ema);
  double norm = 0, learning_rate = 0;
  reference::adam_ema<double>(
      s, {&step, widened(gradients).data(), w.data(), m.data(), v.data(), ema.data(), &norm, &learning_rate});
  const double u = 0x1p-24;
  // All squares are positive, so each of at most 4 + 2 + 8 + 8 additions costs at most one relative rounding
  // of the sum, of which the root halves; then come the roundings of the clip factor.
  expect_within("norm", {result.norm}, {norm}, [&](size_t) { return 12 * u * norm; });
  expect_within("learning rate", {result.learning_rate}, {learning_rate},
                [&](size_t) { return u * learning_rate; });
  // m: the clipped gradient is off by 12 + 2 roundings, its product and that of m by one or two each, their
  // sum by one.
  expect_within("m", widened(result.state.m), m, [&](size_t) { return 20 * u * 1.2; });
  expect_within("v", widened(result.state.v), v, [&](size_t i) { return 40 * u * v[i]; });
  // The step is rate mhat / (sqrt(vhat) + eps), plus the error of m, relative to the step for m = 1.2.
  const auto bound = [&](size_t i) {
    const double mhat = 1.2 / (1 - std::pow(s.beta1, double(step + 1)));
    const double vhat = v[i] / (1 - std::pow(s.beta2, double(step + 1)));
    const double largest_step = learning_rate * mhat / (std::sqrt(vhat) + s.eps);
    return 45 * u * largest_step + 4 * u * (1 + largest_step);
  };
  expect_within("w", widened(result.state.w), w, bound);
  expect_within("ema", widened(result.state.ema), ema,
                [&](size_t i) { return bound(i) + 4 * u * (1 + std::abs(w[i])); });
  EXPECT_EQ(widened(result.compute_weights), widened(rounded<BFloat16>(widened(result.state.w))));
}

TEST(AdamEmaStep, NormOfPowersOfTwoIsExactAndPropagatesNaN) {
  const Stream stream;
  // 4^10 times (1/16)^2 in any order: 4096, whose root is 64. 2^20 parameters are too many for three thread
  // orders in the emulator, so this runs once.
  const AdamParams s{.count = 1 << 20, .clip_norm = 0};
  std::vector<float> gradients(s.count, 0.0625F);
  const State zeros{std::vector<float>(s.count), std::vector<float>(s.count), std::vector<float>(s.count),
                    std::vector<float>(s.count)};
  EXPECT_EQ(optimize(s, 0, gradients, zeros, stream).norm, 64);
  gradients[777777] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(optimize(s, 0, gradients, zeros, stream).norm));
}

TEST(AdamEmaStep, CopyIsOptionalAndRaggedArenasAreRejected) {
  const Stream stream;
  const AdamParams s{.count = 8};
  const auto gradients = rounded<float>(random_values(8, 4));
  const State before = initial_state(8);
  const Result without = optimize(s, 0, gradients, before, stream, Copy::kNone);
  EXPECT_EQ(without.state.w, optimize(s, 0, gradients, before, stream).state.w);
  EXPECT_THROW(optimize({.count = 7}, 0, gradients, before, stream), InputError);
}

}  // namespace
}  // namespace ddpm
