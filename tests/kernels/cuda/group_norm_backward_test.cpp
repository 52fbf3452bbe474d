// The backward pass of group normalisation against the reference in double.
#include <cmath>

#include "tests/kernels/cuda/group_norm_case.h"

namespace ddpm {
namespace {

using cuda::GroupNormPass;

template <typename T>
class GroupNormBackward : public testing::Test {};
TYPED_TEST_SUITE(GroupNormBackward, StorageTypes);

struct Gradients {
  std::vector<double> dx, dskip, dshift, dfilm, dbias, dgamma, dbeta;
  bool operator==(const Gradients&) const = default;
};

// What the gradients meet: x's has two addends and is its own first, skip's has a second one alone; the
// gradients of the parameters are added to ones. The columns of dshift and dfilm beside the slices hold
// numbers that must stay.
template <typename T>
struct Surroundings {
  explicit Surroundings(const GroupNormCase& test) {
    const GroupNormParams& s = test.params;
    const int64_t rows = int64_t{s.n} * s.pixels;
    x_first = rounded<T>(reference::random_values(rows * s.x_channels, 11));
    x_second = rounded<T>(reference::random_values(rows * s.x_channels, 12));
    skip_second = rounded<T>(reference::random_values(rows * s.skip_channels, 13));
    if (test.shift) shift = rounded<T>(reference::random_values(int64_t{s.n} * s.shift_stride, 14));
    if (test.film) film = rounded<T>(reference::random_values(int64_t{s.n} * s.film_stride, 15));
  }
  std::vector<T> x_first, x_second, skip_second, shift, film;
};

// Given mean and rstd, so that the errors of the forward pass stay out of the comparison.
template <typename T>
Gradients run_backward(const GroupNormCase& test, const GroupNormInputs<T, float>& in,
                       const std::vector<float>& mean, const std::vector<float>& rstd, StreamView stream) {
  const GroupNormParams& s = test.params;
  const DeviceInputs<T> on_device(in, stream);
  const Surroundings<T> beside(test);
  const Guarded<float> device_mean(mean, stream), device_rstd(rstd, stream);
  const Guarded<T> dx(beside.x_first, stream), dskip(int64_t(in.skip.size()), stream);
  const Guarded<T> x_second(beside.x_second, stream), skip_second(beside.skip_second, stream);
  const Guarded<T> dshift(beside.shift, stream), dfilm(beside.film, stream);
  const std::vector<float> ones(s.channels(), 1.0f);
  const Guarded<float> dbias(ones, stream), dgamma(ones, stream), dbeta(ones, stream);
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
Gradients reference_backward(const GroupNormCase& test, const GroupNormInputs<T, float>& inputs,
                             const std::vector<float>& mean, const std::vector<float>& rstd) {
  using reference::data_or_null;
  const GroupNormParams& s = test.params;
  const auto in = widened(inputs);
  const Surroundings<T> beside(test);
  const std::vector<double> ones(s.channels(), 1.0), exact_mean = widened(mean), exact_rstd = widened(rstd);
  const auto x_second = widened(beside.x_second), skip_second = widened(beside.skip_second);
  Gradients out{widened(beside.x_first),
                widened(beside.skip_second),
                widened(beside.shift),
                widened(beside.film),
                ones,
                ones,
                ones};
  reference::group_norm_backward<double>(s, {.dy = in.dy.data(),
                                             .x = in.x.data(),
                                             .skip = data_or_null(in.skip),
                                             .shift = data_or_null(in.shift),
                                             .bias = data_or_null(in.bias),
                                             .gamma = in.gamma.data(),
                                             .beta = in.beta.data(),
                                             .film = data_or_null(in.film),
                                             .mean = exact_mean.data(),
                                             .rstd = exact_rstd.data(),
                                             .dx_addends = {out.dx.data(), x_second.data()},
                                             .dskip_addends = {nullptr, data_or_null(skip_second)},
                                             .dx = out.dx.data(),
                                             .dskip = out.dskip.data(),
                                             .dshift = test.shift ? out.dshift.data() : nullptr,
                                             .dbias = test.bias ? out.dbias.data() : nullptr,
                                             .dgamma = out.dgamma.data(),
                                             .dbeta = out.dbeta.data(),
                                             .dfilm = test.film ? out.dfilm.data() : nullptr,
                                             .dropout = {kDropoutSeed, &kDropoutStep}});
  return out;
}

// The statistics that the forward pass would have kept.
template <typename T>
std::pair<std::vector<float>, std::vector<float>> statistics(const GroupNormCase& test,
                                                             const GroupNormInputs<T, float>& in) {
  const GroupNormOutputs out = group_norm_forward(test.params, widened(in));
  return {{out.mean.begin(), out.mean.end()}, {out.rstd.begin(), out.rstd.end()}};
}

template <typename T>
void expect_agrees(const GroupNormCase& test, const GroupNormInputs<T, float>& in,
                   const std::vector<float>& mean, const std::vector<float>& rstd, const Gradients& actual) {
  const GroupNormParams& s = test.params;
  const Gradients expected = reference_backward(test, in, mean, rstd);
  const auto exact = widened(in);
  const double film = in.film.empty() ? 1 : 1 + largest(exact.film);
  const double gamma = largest(exact.gamma), r = largest(widened(rstd)), scale = r * gamma * film;
  const double centred = std::max(largest(exact.x), largest(exact.skip)) + largest(exact.shift) +
                         largest(exact.bias) + largest(widened(mean));
  const double w = centred * scale + largest(exact.beta) * film + largest(exact.film);
  // |dw| <= 1.1 |dy| / (1 - rate). Its error: four roundings of w, which SiLU's derivative (slope below 0.5)
  // passes on, and ten in the derivative and the product.
  const double dy = largest(exact.dy) / (1 - s.dropout);
  const double dw = 1.1 * dy, dw_error = 0x1p-24 * (0.5 * 4 * w * dy + 10 * dw);
  const double additions_error =
      0x1p-24 * (additions(cuda::plan_group_norm(s, sizeof(T), GroupNormPass::kBackward)) + s.n + 4);
  const double pixels = s.pixels;
  // Sums over pixels of dw, of dw (x + centre) and of x + centre.
  const double a = pixels * dw, a_error = pixels * dw_error + additions_error * a;
  const double b = a * centred, b_error = a_error * centred + 3 * 0x1p-24 * b;
  const double x = pixels * centred, x_error = (additions_error + 3 * 0x1p-24) * x;
  // S2 / m <= scale b / pixels, and likewise S1.
  const double factor = r * r * scale * b / pixels;
  const double factor_error = r * r * scale * b_error / pixels + (additions_error + 6 * 0x1p-24) * factor;
  const double constant = scale * a / pixels;
  const double constant_error = scale * a_error / pixels + (additions_error + 6 * 0x1p-24) * constant;
  // Where dw is kept rounded to T, du has that error too.
  const double du_error = scale * (dw_error + unit_roundoff<T>() * dw) + factor_error * centred +
                          constant_error + 6 * 0x1p-24 * (scale * dw + factor * centred + constant + 2);
  const auto stored = [](double error, const std::vector<double>& of) {
    return [error, &of](size_t i) { return error + unit_roundoff<T>() * (std::abs(of[i]) + error); };
  };
  expect_within("dx", actual.dx, expected.dx, stored(du_error, expected.dx));
  if (s.skip_channels > 0)
    expect_within("dskip", actual.dskip, expected.dskip, stored(du_error, expected.dskip));
  const double shift_error = scale * a_error + factor_error * x + factor * x_error + constant_error * pixels +
                             6 * 0x1p-24 * (scale * a + factor * x + constant * pixels);
  if (test.shift)
    expect_within("dshift", actual.dshift, expected.dshift, stored(shift_error, expected.dshift));
  const double film_error = gamma * r * b_error + largest(exact.beta) * a_error + a_error +
                            6 * 0x1p-24 * (gamma * r * b + largest(exact.beta) * a);
  if (test.film) expect_within("dfilm", actual.dfilm, expected.dfilm, stored(film_error, expected.dfilm));
  const double n = s.n;
  const auto summed = [&](double error, double size) {
    return [=](size_t) { return n * (error + (n + 6) * 0x1p-24 * size) + 0x1p-24; };
  };
  expect_within("dbias", actual.dbias, expected.dbias,
                summed(shift_error, scale * a + factor * x + constant * pixels));
  expect_within("dgamma", actual.dgamma, expected.dgamma, summed(film * r * b_error, film * r * b));
  expect_within("dbeta", actual.dbeta, expected.dbeta, summed(film * a_error, film * a));
}

TYPED_TEST(GroupNormBackward, AgreesWithTheReference) {
  for (const GroupNormCase& test : group_norm_cases()) {
    SCOPED_TRACE(test.name);
    const auto in = random_inputs<TypeParam>(test);
    const auto [mean, rstd] = statistics(test, in);
    const Gradients actual = same_in_every_order([&, &m = mean, &r = rstd](StreamView stream) {
      Gradients gradients = run_backward(test, in, m, r, stream);
      if (test.params.skip_channels == 0) gradients.dskip.clear();
      return gradients;
    });
    expect_agrees(test, in, mean, rstd, actual);
  }
}

// Powers of two, sums of few bits, mean 0 and rstd 1/2: each step is exact and no error is allowed at all.
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
    // The addends are random: their sums with the gradient are rounded to T once in the oracle, twice at most
    // here.
    expect_within("dx", actual.dx, expected.dx,
                  [&](size_t i) { return unit_roundoff<T>() * std::abs(expected.dx[i]) + 3 * 0x1p-24 * 8; });
    expected.dx.clear();
    actual.dx.clear();
    actual.dskip.clear();
    EXPECT_EQ(actual, expected) << pixels;
  }
}

// More than units_per_range, and a mask in each.
TEST(GroupNormBackwardTwoPhases, TakesSeveralRanges) {
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
