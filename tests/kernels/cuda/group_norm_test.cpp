// The forward pass of group norm against the reference in double.
#include <cmath>

#include "support/error_types.h"
#include "tests/kernels/cuda/group_norm_case.h"

namespace ddpm {
namespace {

using cuda::GroupNormPass;

template <typename T>
class GroupNorm : public testing::Test {};
TYPED_TEST_SUITE(GroupNorm, StorageTypes);

// Largest magnitudes for the bounds: u = x + shift + bias; its scale; and w, before the activation.
struct Magnitudes {
  double u, scale, w;
};

Magnitudes magnitudes(const GroupNormInputs<double>& in, const GroupNormOutputs& out) {
  const double u = std::max(largest(in.x), largest(in.skip)) + largest(in.shift) + largest(in.bias);
  const double film = in.film.empty() ? 1 : 1 + largest(in.film);
  const double scale = largest(out.rstd) * largest(in.gamma) * film;
  return {u, scale, (u + largest(out.mean)) * scale + largest(in.beta) * film + largest(in.film)};
}

template <typename T>
void expect_agrees(const GroupNormCase& test, const GroupNormInputs<T, float>& in,
                   const GroupNormOutputs& actual) {
  const auto exact_in = widened(in);
  const GroupNormOutputs expected = group_norm_forward(test.params, exact_in);
  const Magnitudes m = magnitudes(exact_in, expected);
  const double sums =
      0x1p-24 * (additions(cuda::plan_group_norm(test.params, sizeof(T), GroupNormPass::kForward)) + 4);
  expect_within("mean", actual.mean, expected.mean, [&](size_t) { return sums * m.u; });
  // Half the relative error of the variance, which the error of the mean enters twice: by (u - mean)
  // (error of mean).
  const auto rstd_bound = [&](size_t i) {
    return expected.rstd[i] * (sums + 2 * sums * m.u * expected.rstd[i]);
  };
  expect_within("rstd", actual.rstd, expected.rstd, rstd_bound);
  // Errors of mean and rstd, four roundings on the way to w and six in SiLU, whose slope is below 1.1; kept
  // values are scaled up; then the result is stored.
  const double w_error = sums * m.u * m.scale * 3 + (sums + 10 * 0x1p-24) * m.w;
  const double kept = 1 / (1 - test.params.dropout);
  expect_within("y", actual.y, expected.y, [&](size_t i) {
    return 1.1 * w_error * kept + unit_roundoff<T>() * (std::abs(expected.y[i]) + w_error * kept);
  });
}

TYPED_TEST(GroupNorm, MatchesReference) {
  for (const GroupNormCase& test : group_norm_cases()) {
    SCOPED_TRACE(test.name);
    const auto in = random_inputs<TypeParam>(test);
    expect_agrees(test, in, same_in_every_order([&](StreamView stream) {
                    return run_forward(test.params, in, stream);
                  }));
  }
}

// A mean of 100 standard deviations or more: the squares about it do not cancel.
TYPED_TEST(GroupNorm, LargeOffsetDoesNotCancel) {
  const GroupNormCase test = group_norm_case(
      "LargeOffset", {.n = 1, .pixels = 49, .x_channels = 16, .groups = 4, .activation = Activation::kSilu});
  const auto in = random_inputs<TypeParam>(test, 100);
  expect_agrees(test, in, run_forward(test.params, in, streams_of_every_order().front()));
}

// Sums of powers of two and a variance of 1 with eps = 3 make every step exact, so no error is allowed.
TYPED_TEST(GroupNorm, IsExactOnPowersOfTwo) {
  using T = TypeParam;
  for (const int pixels : {16, 1024, 16384}) {  // the last in two phases
    const GroupNormCase test =
        group_norm_case("", {.n = 2, .pixels = pixels, .x_channels = 32, .groups = 4, .eps = 3}, true);
    auto in = random_inputs<T>(test);
    for (size_t i = 0; i < in.x.size(); ++i) in.x[i] = from_float<T>((i / 32 + i) % 2 == 0 ? 3.0f : 1.0f);
    in.shift.assign(in.shift.size(), from_float<T>(-2.0f));
    for (int c = 0; c < 32; ++c) {
      in.gamma[c] = c % 3 == 0 ? 2.0f : -4.0f;
      in.beta[c] = 0.5f;
    }
    const auto out = run_forward(test.params, in, streams_of_every_order().front());
    EXPECT_EQ(out.mean, std::vector<double>(8, 0.0));
    EXPECT_EQ(out.rstd, std::vector<double>(8, 0.5));
    EXPECT_EQ(out.y, group_norm_forward(test.params, widened(in)).y);
  }
}

// More than units_per_range: the second range must not disturb the statistics of the first.
TEST(GroupNormTwoPhases, ProcessesSeveralRanges) {
  const GroupNormCase test = group_norm_case(
      "Ranges",
      {.n = 9, .pixels = 128 * 128, .x_channels = 32, .groups = 8, .activation = Activation::kSilu});
  const auto plan = cuda::plan_group_norm(test.params, sizeof(float), GroupNormPass::kForward);
  ASSERT_EQ(plan.path, cuda::GroupNormPath::kTwoPhase);
  ASSERT_LT(cuda::units_per_range(plan, GroupNormPass::kForward), plan.units());
  const auto in = random_inputs<float>(test);
  expect_agrees(test, in, run_forward(test.params, in, streams_of_every_order().front()));
}

TEST(GroupNormErrors, RejectUnsupportedShapes) {
  const Stream stream;
  const auto refused = [&](const GroupNormParams& params) {
    EXPECT_THROW(cuda::group_norm<BFloat16>(params, {}, nullptr, stream), InputError);
    EXPECT_THROW(cuda::group_norm_backward<BFloat16>(params, {}, nullptr, stream), InputError);
  };
  refused({.n = 1, .pixels = 4, .x_channels = 12, .groups = 3});  // not a multiple of 16 bytes
  refused({.n = 1, .pixels = 4, .x_channels = 12, .skip_channels = 4, .groups = 4});  // only their sum is one
  refused({.n = 1, .pixels = 4, .x_channels = 16, .groups = 3});  // groups do not divide the channels
  refused({.n = 0, .pixels = 4, .x_channels = 16, .groups = 4});
  refused({.n = 1, .pixels = 4, .x_channels = 16, .groups = 4, .dropout = 1});
  refused(
      {.n = 1, .pixels = 4, .x_channels = 1 << 14, .groups = 1});  // more vectors than a block has threads
  refused(
      {.n = 1, .pixels = 1 << 20, .x_channels = 4096, .groups = 32});  // indices within an image are 32-bit
}

}  // namespace
}  // namespace ddpm
