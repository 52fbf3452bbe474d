// The backward pass of group norm against the reference in double.
#include <cmath>

#include "tests/kernels/cuda/group_norm_case.h"

namespace ddpm {
namespace {

using cuda::GroupNormPass;

template <typename T>
class GroupNormBackward : public testing::Test {};
TYPED_TEST_SUITE(GroupNormBackward, StorageTypes);

using Gradients = reference::GroupNormGradients<double>;

template <typename T>
using Surroundings = reference::GroupNormSurroundings<T, float>;

template <typename T>
Surroundings<T> surroundings(const GroupNormCase& test) {
  const auto beside = reference::random_surroundings<double>(test);
  return {rounded<T>(beside.x_first), rounded<T>(beside.x_second), rounded<T>(beside.skip_second),
          rounded<T>(beside.shift),   rounded<T>(beside.film),     rounded<float>(beside.parameters)};
}

// Takes mean and rstd, so that errors of the forward pass stay out of the comparison.
template <typename T>
Gradients run_backward(const GroupNormCase& test, const GroupNormInputs<T, float>& in,
                       const std::vector<float>& mean, const std::vector<float>& rstd, StreamView stream) {
  const GroupNormParams& s = test.params;
  const DeviceInputs<T> on_device(in, stream);
  const Surroundings<T> beside = surroundings<T>(test);
  const Guarded<float> device_mean(mean, stream), device_rstd(rstd, stream);
  const Guarded<T> dx(beside.x_first, stream), dskip(int64_t(in.skip.size()), stream);
  const Guarded<T> x_second(beside.x_second, stream), skip_second(beside.skip_second, stream);
  const Guarded<T> dshift(beside.shift, stream), dfilm(beside.film, stream);
  const Guarded<float> dbias(beside.parameters, stream), dgamma(beside.parameters, stream),
      dbeta(beside.parameters, stream);
  const Guarded<std::byte> scratch(int64_t(cuda::group_norm_backward_scratch_bytes(s)), stream);
  cuda::group_norm_backward<T>(s,
                               {.dy = on_device.dy.data(),
                                .x = on_device.x.data(),
                                .skip = on_device.skip.data(),
                                .shift = on_device.shift.data(),
                                .bias = on_device.bias.data(),
                                .gamma = on_device.gamma.data(),
                                .beta = on_device.beta.data(),
                                .film = on_device.film.data(),
                                .mean = device_mean.data(),
                                .rstd = device_rstd.data(),
                                .dx_addends = {dx.data(), x_second.data()},
                                .dskip_addends = {nullptr, skip_second.data()},
                                .dx = dx.data(),
                                .dskip = dskip.data(),
                                .dshift = test.shift ? dshift.data() : nullptr,
                                .dbias = test.bias ? dbias.data() : nullptr,
                                .dgamma = dgamma.data(),
                                .dbeta = dbeta.data(),
                                .dfilm = test.film ? dfilm.data() : nullptr,
                                .dropout = {kDropoutSeed, on_device.step.data()}},
                               scratch.data(), stream);
  scratch.values(stream);  // its guards
  return {widened(dx.values(stream)),    widened(dskip.values(stream)), widened(dshift.values(stream)),
          widened(dfilm.values(stream)), widened(dbias.values(stream)), widened(dgamma.values(stream)),
          widened(dbeta.values(stream))};
}

template <typename T>
Gradients reference_backward(const GroupNormCase& test, const GroupNormInputs<T, float>& in,
                             const std::vector<float>& mean, const std::vector<float>& rstd) {
  const Surroundings<T> beside = surroundings<T>(test);
  return reference::group_norm_gradients<double>(
      test, widened(in), widened(mean), widened(rstd),
      {widened(beside.x_first), widened(beside.x_second), widened(beside.skip_second), widened(beside.shift),
       widened(beside.film), widened(beside.parameters)});
}

// The statistics that the forward pass keeps.
template <typename T>
std::pair<std::vector<float>, std::vector<float>> statistics(const GroupNormCase& test,
                                                             const GroupNormInputs<T, float>& in) {
  const GroupNormOutputs out = group_norm_forward(test.params, widened(in));
  return {{out.mean.begin(), out.mean.end()}, {out.rstd.begin(), out.rstd.end()}};
}

template <typename T>
void expect_agrees(const GroupNormCase& test, const GroupNormInputs<T, float>& in,
                   const std::vector<float>& mean, const std::vector<float>& rstd, const Gradients& actual) {
  const auto plan = cuda::plan_group_norm(test.params, sizeof(T), GroupNormPass::kBackward);
  expect_gradients_within_bounds(
      test, widened(in), widened(mean), widened(rstd),
      {.additions = additions(plan) + test.params.n + 4, .storage = unit_roundoff<T>()}, actual,
      reference_backward(test, in, mean, rstd));
}

TYPED_TEST(GroupNormBackward, MatchesReference) {
  for (const GroupNormCase& test : group_norm_cases()) {
    SCOPED_TRACE(test.name);
    const auto in = random_inputs<TypeParam>(test);
    const auto [mean, rstd] = statistics(test, in);
    const Gradients actual = same_in_every_order([&, &m = mean, &r = rstd](StreamView stream) {
      Gradients gradients = run_backward(test, in, m, r, stream);
      if (test.params.skip_channels == 0) gradients.skip.clear();
      return gradients;
    });
    expect_agrees(test, in, mean, rstd, actual);
  }
}

// Powers of two, sums of few bits, mean 0 and rstd 1/2 make every step exact, so no error is allowed.
TYPED_TEST(GroupNormBackward, IsExactOnPowersOfTwo) {
  using T = TypeParam;
  for (const int pixels : {16, 1024, 16384}) {  // the last in two phases
    const GroupNormCase test =
        group_norm_case("", {.n = 2, .pixels = pixels, .x_channels = 32, .groups = 4}, true, true);
    auto in = random_inputs<T>(test);
    for (size_t i = 0; i < in.x.size(); ++i) {
      in.x[i] = from_float<T>((i / 32 + i) % 2 == 0 ? 1.0f : -1.0f);
      in.dy[i] = from_float<T>((i / 32 + i) % 4 == 0 ? 4.0f : (i / 32 + i) % 4 == 1 ? 2.0f : -2.0f);
    }
    in.shift.assign(in.shift.size(), from_float<T>(-2.0f));
    in.bias.assign(in.bias.size(), 2.0f);
    in.gamma.assign(in.gamma.size(), 2.0f);
    const std::vector<float> mean(8, 0.0f), rstd(8, 0.5f);
    auto actual = run_backward(test, in, mean, rstd, streams_of_every_order().front());
    auto expected = reference_backward(test, in, mean, rstd);
    // The addends are random: the reference rounds their sums with the gradient to T once, the kernel
    // at most twice.
    expect_within("dx", actual.x, expected.x,
                  [&](size_t i) { return unit_roundoff<T>() * std::abs(expected.x[i]) + 3 * 0x1p-24 * 8; });
    expected.x.clear();
    actual.x.clear();
    actual.skip.clear();
    EXPECT_EQ(actual, expected) << pixels;
  }
}

// More than units_per_range, and a mask in each.
TEST(GroupNormBackwardTwoPhases, ProcessesSeveralRanges) {
  const GroupNormCase test = group_norm_case("Ranges", {.n = 5,
                                                        .pixels = 128 * 128,
                                                        .x_channels = 32,
                                                        .groups = 8,
                                                        .activation = Activation::kSilu,
                                                        .dropout = 0.1});
  const auto plan = cuda::plan_group_norm(test.params, sizeof(float), GroupNormPass::kBackward);
  ASSERT_EQ(plan.path, cuda::GroupNormPath::kTwoPhase);
  ASSERT_LT(cuda::units_per_range(plan, GroupNormPass::kBackward), plan.units());
  const auto in = random_inputs<float>(test);
  const auto [mean, rstd] = statistics(test, in);
  expect_agrees(test, in, mean, rstd, run_backward(test, in, mean, rstd, streams_of_every_order().front()));
}

}  // namespace
}  // namespace ddpm
