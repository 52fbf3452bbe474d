// Cases of group norm with random inputs, and the host implementations run on them: for the tests of the
// reference, of kernels/cpu and of the GPU kernels.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "kernels/random.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {

inline constexpr uint64_t kDropoutSeed = 99;
inline constexpr int64_t kDropoutStep = 3;

struct GroupNormCase {
  std::string name;
  GroupNormParams params;
  bool shift = false, bias = false, film = false;
};

inline GroupNormCase group_norm_case(std::string name, GroupNormParams params, bool shift = false,
                                     bool bias = false, bool film = false) {
  // Wider than the slices, so that a wrong stride reads or writes a neighbor's columns.
  params.shift_stride = params.channels() + 8;
  params.film_stride = 2 * params.channels() + 16;
  params.dropout_stream = random_key(kDropoutSeed, RandomStream::kDropout, 2).stream;
  return {std::move(name), params, shift, bias, film};
}

// One case per option. Channel counts are multiples of `unit`, the number of channels in one vector
// of the kernels.
inline std::vector<GroupNormCase> group_norm_option_cases(int unit) {
  constexpr Activation kSilu = Activation::kSilu;
  const int u = unit;
  return {
      group_norm_case("Plain", {.n = 2, .pixels = 6, .x_channels = 4 * u, .groups = 2}),
      group_norm_case("Silu", {.n = 2, .pixels = 5, .x_channels = 6 * u, .groups = 3, .activation = kSilu}),
      group_norm_case("OneChannelPerGroup",
                      {.n = 2, .pixels = 7, .x_channels = 5 * u, .groups = 5 * u, .activation = kSilu}),
      group_norm_case("OneGroupOneImage",
                      {.n = 1, .pixels = 4, .x_channels = 3 * u, .groups = 1, .activation = kSilu}),
      group_norm_case("OnePixel", {.n = 2, .pixels = 1, .x_channels = 8 * u, .groups = 2}),
      group_norm_case("TwoSources", {.n = 2,
                                     .pixels = 4,
                                     .x_channels = 4 * u,
                                     .skip_channels = 2 * u,
                                     .groups = 3,
                                     .activation = kSilu}),
      group_norm_case("GroupStraddlesSources", {.n = 2,
                                                .pixels = 5,
                                                .x_channels = 3 * u,
                                                .skip_channels = 5 * u,
                                                .groups = 2,
                                                .activation = kSilu}),
      group_norm_case("Shift", {.n = 3, .pixels = 4, .x_channels = 4 * u, .groups = 2, .activation = kSilu},
                      true),
      group_norm_case("ShiftAndBias",
                      {.n = 2, .pixels = 4, .x_channels = 4 * u, .groups = 2, .activation = kSilu}, true,
                      true),
      group_norm_case("Bias", {.n = 2, .pixels = 3, .x_channels = 4 * u, .groups = 4}, false, true),
      group_norm_case("Film", {.n = 2, .pixels = 4, .x_channels = 4 * u, .groups = 2, .activation = kSilu},
                      false, false, true),
      group_norm_case("Dropout", {.n = 2, .pixels = 5, .x_channels = 3 * u, .groups = 3, .dropout = 0.4}),
      group_norm_case("Everything",
                      {.n = 3,
                       .pixels = 5,
                       .x_channels = 3 * u,
                       .skip_channels = 3 * u,
                       .groups = 2,
                       .eps = 1e-5,
                       .activation = kSilu,
                       .dropout = 0.3},
                      true, true, true)};
}

// T is the type of activations, M that of parameters. Inputs that the case lacks are empty.
template <typename T, typename M = T>
struct GroupNormInputs {
  std::vector<T> x, skip, shift, film, dy;
  std::vector<M> bias, gamma, beta;
};

template <typename T>
GroupNormInputs<T> group_norm_inputs(const GroupNormCase& test, double offset = 0) {
  const GroupNormParams& s = test.params;
  const int64_t rows = int64_t{s.n} * s.pixels;
  GroupNormInputs<T> in;
  in.x = random_values<T>(rows * s.x_channels, 1, offset);
  in.skip = random_values<T>(rows * s.skip_channels, 2, offset);
  if (test.shift) in.shift = random_values<T>(int64_t{s.n} * s.shift_stride, 3);
  if (test.bias) in.bias = random_values<T>(s.channels(), 4);
  in.gamma = random_values<T>(s.channels(), 5, 1.5);
  in.beta = random_values<T>(s.channels(), 6);
  if (test.film) in.film = random_values<T>(int64_t{s.n} * s.film_stride, 7);
  in.dy = random_values<T>(s.elements(), 8);
  return in;
}

inline GroupNormInputs<double> to_double(const GroupNormInputs<float>& in) {
  return {to_double(in.x),  to_double(in.skip), to_double(in.shift), to_double(in.film),
          to_double(in.dy), to_double(in.bias), to_double(in.gamma), to_double(in.beta)};
}

template <typename T>
struct GroupNormOutputs {
  std::vector<T> y, mean, rstd;
  bool operator==(const GroupNormOutputs&) const = default;
};

template <typename T>
using GroupNormFunction = void (*)(const GroupNormParams&, const GroupNormArgs<T>&);

template <typename T>
GroupNormOutputs<T> group_norm_forward(const GroupNormParams& s, const GroupNormInputs<T>& in,
                                       GroupNormFunction<T> function = group_norm<T>) {
  Output<T> y(s.elements()), mean(int64_t{s.n} * s.groups), rstd(int64_t{s.n} * s.groups);
  function(s, {.x = in.x.data(),
               .skip = data_or_null(in.skip),
               .shift = data_or_null(in.shift),
               .bias = data_or_null(in.bias),
               .gamma = in.gamma.data(),
               .beta = in.beta.data(),
               .film = data_or_null(in.film),
               .y = y.data(),
               .mean = mean.data(),
               .rstd = rstd.data(),
               .dropout = {kDropoutSeed, &kDropoutStep}});
  return {y.values(), mean.values(), rstd.values()};
}

// Gradients by the inputs of the same names. For inputs that the case lacks they are meaningless.
template <typename T>
struct GroupNormGradients {
  std::vector<T> x, skip, shift, film, bias, gamma, beta;
  bool operator==(const GroupNormGradients&) const = default;
};

// What the gradients find in memory: the addends of dx (which is its own first one) and the second addend of
// dskip, empty for none; shift and film, whose columns beside the slices must stay; the initial values of the
// parameter gradients.
template <typename T, typename M = T>
struct GroupNormSurroundings {
  std::vector<T> x_first, x_second, skip_second, shift, film;
  std::vector<M> parameters;
};

template <typename T>
GroupNormSurroundings<T> random_surroundings(const GroupNormCase& test) {
  const GroupNormParams& s = test.params;
  const int64_t rows = int64_t{s.n} * s.pixels;
  return {.x_first = random_values<T>(rows * s.x_channels, 11),
          .x_second = random_values<T>(rows * s.x_channels, 12),
          .skip_second = random_values<T>(rows * s.skip_channels, 13),
          .shift = random_values<T>(test.shift ? int64_t{s.n} * s.shift_stride : 0, 14),
          .film = random_values<T>(test.film ? int64_t{s.n} * s.film_stride : 0, 15),
          .parameters = std::vector<T>(s.channels(), T{1})};
}

// No addends, zeros everywhere else.
template <typename T>
GroupNormSurroundings<T> empty_surroundings(const GroupNormCase& test) {
  const GroupNormParams& s = test.params;
  return {.x_first = {},
          .x_second = {},
          .skip_second = {},
          .shift = std::vector<T>(test.shift ? int64_t{s.n} * s.shift_stride : 0),
          .film = std::vector<T>(test.film ? int64_t{s.n} * s.film_stride : 0),
          .parameters = std::vector<T>(s.channels())};
}

template <typename T>
using GroupNormBackwardFunction = void (*)(const GroupNormParams&, const GroupNormBackwardArgs<T>&);

// mean and rstd are the statistics that the forward pass kept.
template <typename T>
GroupNormGradients<T> group_norm_gradients(const GroupNormCase& test, const GroupNormInputs<T>& in,
                                           const std::vector<T>& mean, const std::vector<T>& rstd,
                                           const GroupNormSurroundings<T>& beside,
                                           GroupNormBackwardFunction<T> function = group_norm_backward<T>) {
  Output<T> dx(int64_t(in.x.size())), dskip(int64_t(in.skip.size()));
  std::copy(beside.x_first.begin(), beside.x_first.end(), dx.data());
  Output<T> dshift(beside.shift), dfilm(beside.film);
  Output<T> dbias(beside.parameters), dgamma(beside.parameters), dbeta(beside.parameters);
  function(test.params,
           {.dy = in.dy.data(),
            .x = in.x.data(),
            .skip = data_or_null(in.skip),
            .shift = data_or_null(in.shift),
            .bias = data_or_null(in.bias),
            .gamma = in.gamma.data(),
            .beta = in.beta.data(),
            .film = data_or_null(in.film),
            .mean = mean.data(),
            .rstd = rstd.data(),
            .dx_addends = {beside.x_first.empty() ? nullptr : dx.data(), data_or_null(beside.x_second)},
            .dskip_addends = {nullptr, data_or_null(beside.skip_second)},
            .dx = dx.data(),
            .dskip = in.skip.empty() ? nullptr : dskip.data(),
            .dshift = test.shift ? dshift.data() : nullptr,
            .dbias = test.bias ? dbias.data() : nullptr,
            .dgamma = dgamma.data(),
            .dbeta = dbeta.data(),
            .dfilm = test.film ? dfilm.data() : nullptr,
            .dropout = {kDropoutSeed, &kDropoutStep}});
  return {dx.values(),    dskip.values(),  dshift.values(), dfilm.values(),
          dbias.values(), dgamma.values(), dbeta.values()};
}

inline double largest(const std::vector<double>& values) {
  double result = 0;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

// Rounding errors of a float implementation of the backward pass, in unit roundoffs of float, from which its
// error bounds follow.
struct GroupNormRounding {
  double additions = 0;    // longest chain of float additions in a sum over a group; 0: sums are in double
  double w = 4;            // roundings on the way to w, relative to the magnitudes
  double derivative = 11;  // error of the activation's derivative and of its product with dy
  double derivative_per_w = 0;  // and what that grows by with |w|
  double storage = 0x1p-24;     // unit roundoff (absolute) of the type of dx, dshift, dfilm and dw
};

inline void expect_gradients_within_bounds(const GroupNormCase& test, const GroupNormInputs<double>& in,
                                           const std::vector<double>& mean, const std::vector<double>& rstd,
                                           const GroupNormRounding& rounding,
                                           const GroupNormGradients<double>& actual,
                                           const GroupNormGradients<double>& expected) {
  const GroupNormParams& s = test.params;
  constexpr double u = 0x1p-24;
  const double film = in.film.empty() ? 1 : 1 + largest(in.film);
  const double gamma = largest(in.gamma), r = largest(rstd), scale = r * gamma * film;
  const double centered =
      std::max(largest(in.x), largest(in.skip)) + largest(in.shift) + largest(in.bias) + largest(mean);
  const double w = centered * scale + largest(in.beta) * film + largest(in.film);
  // |dw| <= 1.1 |dy| / (1 - rate). SiLU's derivative, whose slope is below 0.5, passes on the error of w.
  const double dy = largest(in.dy) / (1 - s.dropout);
  const double dw = 1.1 * dy;
  const double dw_error = u * dy * ((0.5 * rounding.w + rounding.derivative_per_w) * w + rounding.derivative);
  const double additions_error = u * rounding.additions;
  const double pixels = s.pixels;
  // Sums over pixels of dw, of dw (x + center) and of x + center.
  const double a = pixels * dw, a_error = pixels * dw_error + additions_error * a;
  const double b = a * centered, b_error = a_error * centered + 3 * u * b;
  const double x = pixels * centered, x_error = (additions_error + 3 * u) * x;
  // S2 / m <= scale b / pixels, and likewise S1.
  const double factor = r * r * scale * b / pixels;
  const double factor_error = r * r * scale * b_error / pixels + (additions_error + 6 * u) * factor;
  const double constant = scale * a / pixels;
  const double constant_error = scale * a_error / pixels + (additions_error + 6 * u) * constant;
  // Where dw is kept rounded to the storage type, du has that error too. The addends are below 2.
  const double du_error = scale * (dw_error + rounding.storage * dw) + factor_error * centered +
                          constant_error + 6 * u * (scale * dw + factor * centered + constant + 2);
  const auto stored = [&](double error, const std::vector<double>& values) {
    return [error, &values, &rounding](size_t i) {
      return error + rounding.storage * (std::abs(values[i]) + error);
    };
  };
  expect_within("dx", actual.x, expected.x, stored(du_error, expected.x));
  if (s.skip_channels > 0)
    expect_within("dskip", actual.skip, expected.skip, stored(du_error, expected.skip));
  const double shift_error = scale * a_error + factor_error * x + factor * x_error + constant_error * pixels +
                             6 * u * (scale * a + factor * x + constant * pixels);
  if (test.shift) expect_within("dshift", actual.shift, expected.shift, stored(shift_error, expected.shift));
  const double film_error = gamma * r * b_error + largest(in.beta) * a_error + a_error +
                            6 * u * (gamma * r * b + largest(in.beta) * a);
  if (test.film) expect_within("dfilm", actual.film, expected.film, stored(film_error, expected.film));
  const double n = s.n;
  const auto summed = [&](double error, double size) {
    return [=](size_t) { return n * (error + (n + 6) * u * size) + u; };
  };
  if (test.bias)
    expect_within("dbias", actual.bias, expected.bias,
                  summed(shift_error, scale * a + factor * x + constant * pixels));
  expect_within("dgamma", actual.gamma, expected.gamma, summed(film * r * b_error, film * r * b));
  expect_within("dbeta", actual.beta, expected.beta, summed(film * a_error, film * a));
}

}  // namespace ddpm::reference
