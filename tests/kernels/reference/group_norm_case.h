// One group normalisation with random inputs, and its forward pass by the reference: for the tests of the
// reference itself and of the kernels. Tests only; depends on kernels/reference/reference.h and
// tests/kernels/reference/tensors.h.
#pragma once

#include <string>
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
  // Wider than the slices, so that a wrong stride reads or writes a neighbour's columns.
  params.shift_stride = params.channels() + 8;
  params.film_stride = 2 * params.channels() + 16;
  params.dropout_stream = random_key(kDropoutSeed, RandomStream::kDropout, 2).stream;
  return {std::move(name), params, shift, bias, film};
}

// T is the type of activations, M that of parameters. What the case has not is empty.
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

template <typename T>
struct GroupNormOutputs {
  std::vector<T> y, mean, rstd;
  bool operator==(const GroupNormOutputs&) const = default;
};

template <typename T>
GroupNormOutputs<T> group_norm_forward(const GroupNormParams& s, const GroupNormInputs<T>& in) {
  Output<T> y(s.elements()), mean(int64_t{s.n} * s.groups), rstd(int64_t{s.n} * s.groups);
  group_norm<T>(s, {.x = in.x.data(),
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

}  // namespace ddpm::reference
