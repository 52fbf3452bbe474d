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
  std::vector<double> dx0, dx1, dshift, dfilm, dbias, dgamma, dbeta;
  bool operator==(const Gradients&) const = default;
};

// What the gradients meet: x0's has two addends and is its own first, x1's has a second one alone; the
// gradients of the parameters are added to ones. The columns of dshift and dfilm beside the slices hold
// numbers that must stay.
template <typename T>
struct Surroundings {
  explicit Surroundings(const GroupNormCase& test) {
    const GroupNormShape& s = test.shape;
    const int64_t rows = int64_t{s.n} * s.pixels;
    x0_first = rounded<T>(reference::random_values(rows * s.c0, 11));
    x0_second = rounded<T>(reference::random_values(rows * s.c0, 12));
    x1_second = rounded<T>(reference::random_values(rows * s.c1, 13));
    if (test.shift) shift = rounded<T>(reference::random_values(int64_t{s.n} * s.shift_stride, 14));
    if (test.film) film = rounded<T>(reference::random_values(int64_t{s.n} * s.film_stride, 15));
  }
  std::vector<T> x0_first, x0_second, x1_second, shift, film;
};

// Given mean and rstd, so that the errors of the forward pass stay out of the comparison.
template <typename T>
Gradients run_backward(const GroupNormCase& test, const GroupNormInputs<T, float>& in,
                       const std::vector<float>& mean, const std::vector<float>& rstd, StreamView stream) {
  const GroupNormShape& s = test.shape;
  const DeviceInputs<T> on_device(in, stream);
  const Surroundings<T> beside(test);
  const Guarded<float> device_mean(mean, stream), device_rstd(rstd, stream);
  const Guarded<T> dx0(beside.x0_first, stream), dx1(int64_t(in.x1.size()), stream);
  const Guarded<T> x0_second(beside.x0_second, stream), x1_second(beside.x1_second, stream);
  const Guarded<T> dshift(beside.shift, stream), dfilm(beside.film, stream);
  const std::vector<float> ones(s.channels(), 1.0f);
  const Guarded<float> dbias(ones, stream), dgamma(ones, stream), dbeta(ones, stream);
  const Guarded<std::byte> scratch(int64_t(cuda::group_norm_backward_scratch_bytes(s)), stream);
  cuda::group_norm_backward<T>(s,
                               {.dy = on_device.dy.data(),
                                .x0 = on_device.x0.data(),
                                .x1 = on_device.x1.data(),
                                .shift = on_device.shift.data(),
                                .bias = on_device.bias.data(),
                                .gamma = on_device.gamma.data(),
                                .beta = on_device.beta.data(),
                                .film = on_device.film.data(),
                                .mean = device_mean.data(),
                                .rstd = device_rstd.data(),
                                .dx0_addends = {dx0.data(), x0_second.data()},
                                .dx1_addends = {nullptr, x1_second.data()},
                                .dx0 = dx0.data(),
                                .dx1 = dx1.data(),
                                .dshift = test.shift ? dshift.data() : nullptr,
                                .dbias = test.bias ? dbias.data() : nullptr,
                                .dgamma = dgamma.data(),
                                .dbeta = dbeta.data(),
                                .dfilm = test.film ? dfilm.data() : nullptr,
                                .dropout = {kDropoutSeed, on_device.step.data()}},
                               scratch.data(), stream);
  scratch.values(stream);  // its guards
  return {widened(dx0.values(stream)),   widened(dx1.values(stream)),   widened(dshift.values(stream)),
          widened(dfilm.values(stream)), widened(dbias.values(stream)), widened(dgamma.values(stream)),
          widened(dbeta.values(stream))};
}

template <typename T>
Gradients reference_backward(const GroupNormCase& test, const GroupNormInputs<T, float>& inputs,
                             const std::vector<float>& mean, const std::vector<float>& rstd) {
  using reference::data_or_null;
  const GroupNormShape& s = test.shape;
  const auto in = widened(inputs);
  const Surroundings<T> beside(test);
  const std::vector<double> ones(s.channels(), 1.0), exact_mean = widened(mean), exact_rstd = widened(rstd);
  const auto x0_second = widened(beside.x0_second), x1_second = widened(beside.x1_second);
  Gradients out{widened(beside.x0_first),
                widened(beside.x1_second),
                widened(beside.shift),
                widened(beside.film),
                ones,
                ones,
                ones};
  reference::group_norm_backward<double>(s, {.dy = in.dy.data(),
                                             .x0 = in.x0.data(),
                                             .x1 = data_or_null(in.x1),
                                             .shift = data_or_null(in.shift),
                                             .bias = data_or_null(in.bias),
                                             .gamma = in.gamma.data(),
                                             .beta = in.beta.data(),
                                             .film = data_or_null(in.film),
                                             .mean = exact_mean.data(),
                                             .rstd = exact_rstd.data(),
                                             .dx0_addends = {out.dx0.data(), x0_second.data()},
                                             .dx1_addends = {nullptr, data_or_null(x1_second)},
                                             .dx0 = out.dx0.data(),
                                             .dx1 = out.dx1.data(),
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
  const GroupNormOutputs out = group_norm_forward(test.shape, widened(in));
  return {{out.mean.begin(), out.mean.end()}, {out.rstd.begin(), out.rstd.end()}};
}

template <typename T>
void expect_agrees(const GroupNormCase& test, const GroupNormInputs<T, float>& in,
                   const std::vector<float>& mean, const std::vector<float>& rstd, const Gradients& actual) {
  const GroupNormShape& s = test.shape;
  const Gradients expected = reference_backward(test, in, mean, rstd);
  const auto exact = widened(in);
  const double film = in.film.empty() ? 1 : 1 + largest(exact.film);
  const double gamma = largest(exact.gamma), r = largest(widened(rstd)), scale = r * gamma * film;
  const double centred = std::max(largest(exact.x0), largest(exact.x1)) + largest(exact.shift) +
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
  expect_within("dx0", actual.dx0, expected.dx0, stored(du_error, expected.dx0));
  if (s.c1 > 0) expect_within("dx1", actual.dx1, expected.dx1, stored(du_error, expected.dx1));
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
      if (test.shape.c1 == 0) gradients.dx1.clear();
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
        group_norm_case("", {.n = 2, .pixels = pixels, .c0 = 32, .groups = 4}, true, true);
    auto in = random_inputs<T>(test);
    for (size_t i = 0; i < in.x0.size(); ++i) {
      in.x0[i] = from_float<T>((i / 32 + i) % 2 == 0 ? 1.0f : -1.0f);
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
    expect_within("dx0", actual.dx0, expected.dx0,
                  [&](size_t i) { return unit_roundoff<T>() * std::abs(expected.dx0[i]) + 3 * 0x1p-24 * 8; });
    expected.dx0.clear();
    actual.dx0.clear();
    actual.dx1.clear();
    EXPECT_EQ(actual, expected) << pixels;
  }
}

// More than units_per_range, and a mask in each.
TEST(GroupNormBackwardTwoPhases, TakesSeveralRanges) {
  const GroupNormCase test = group_norm_case(
      "Ranges",
      {.n = 5, .pixels = 128 * 128, .c0 = 32, .groups = 8, .activation = Activation::kSilu, .dropout = 0.1});
  const auto plan = cuda::plan_group_norm(test.shape, sizeof(float), GroupNormPass::kBackward);
  ASSERT_EQ(plan.path, cuda::GroupNormPath::kTwoPhase);
  ASSERT_LT(cuda::units_per_range(plan, GroupNormPass::kBackward), plan.units());
  const auto in = random_inputs<float>(test);
  const auto [mean, rstd] = statistics(test, in);
  expect_agrees(test, in, mean, rstd, run_backward(test, in, mean, rstd, streams_of_every_order().front()));
}

}  // namespace
}  // namespace ddpm
