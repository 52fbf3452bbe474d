// One group normalisation with random inputs, as the kernel gets them and as the oracle does: for the tests
// of its forward and backward pass. Tests only; depends on
// tests/kernels/reference/group_norm_case.h, tests/kernels/cuda/kernel_test.h.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/cuda/group_norm_plan.h"
#include "kernels/cuda/kernels.h"
#include "tests/kernels/cuda/kernel_test.h"
#include "tests/kernels/reference/group_norm_case.h"

namespace ddpm {

using reference::group_norm_case;
using reference::GroupNormCase;
using reference::GroupNormInputs;
using reference::kDropoutSeed;
using reference::kDropoutStep;
using GroupNormOutputs = reference::GroupNormOutputs<double>;

// Each takes another way through the plan or the kernels; channels that both storage types can have.
inline std::vector<GroupNormCase> group_norm_cases() {
  constexpr Activation kSilu = Activation::kSilu;
  return {
      group_norm_case("Plain", {.n = 2, .pixels = 9, .x_channels = 32, .groups = 8}),
      group_norm_case("OnePixel", {.n = 3, .pixels = 1, .x_channels = 16, .groups = 2, .activation = kSilu}),
      group_norm_case("SeveralImagesInABlockAndARest", {.n = 7, .pixels = 16, .x_channels = 32, .groups = 8},
                      true),
      group_norm_case("OneChannelInAGroup",
                      {.n = 1, .pixels = 30, .x_channels = 16, .groups = 16, .activation = kSilu}),
      group_norm_case("TwoChannelsInAGroup", {.n = 1, .pixels = 30, .x_channels = 16, .groups = 8}),
      group_norm_case("OneGroup", {.n = 2, .pixels = 20, .x_channels = 24, .groups = 1, .activation = kSilu}),
      group_norm_case("TwelveChannelsInAGroup",
                      {.n = 1, .pixels = 64, .x_channels = 96, .groups = 8, .activation = kSilu}),
      group_norm_case("SeveralSlices",
                      {.n = 2, .pixels = 600, .x_channels = 128, .groups = 32, .activation = kSilu}, true),
      group_norm_case(
          "TwoSources",
          {.n = 2, .pixels = 25, .x_channels = 32, .skip_channels = 16, .groups = 6, .activation = kSilu}),
      group_norm_case(
          "GroupStraddlesSources",
          {.n = 2, .pixels = 25, .x_channels = 64, .skip_channels = 32, .groups = 8, .activation = kSilu},
          true),
      group_norm_case("Bias", {.n = 2, .pixels = 16, .x_channels = 16, .groups = 4}, false, true),
      group_norm_case("Film", {.n = 3, .pixels = 16, .x_channels = 32, .groups = 4, .activation = kSilu},
                      false, false, true),
      group_norm_case("Dropout", {.n = 3, .pixels = 16, .x_channels = 32, .groups = 4, .dropout = 0.4}),
      group_norm_case("Everything",
                      {.n = 3,
                       .pixels = 36,
                       .x_channels = 24,
                       .skip_channels = 24,
                       .groups = 4,
                       .eps = 1e-5,
                       .activation = kSilu,
                       .dropout = 0.3},
                      true, true, true),
      group_norm_case("TwoPhases",
                      {.n = 2, .pixels = 2000, .x_channels = 64, .groups = 1, .activation = kSilu}),
      group_norm_case("TwoPhasesWithEverything",
                      {.n = 1,
                       .pixels = 7500,
                       .x_channels = 16,
                       .skip_channels = 8,
                       .groups = 2,
                       .activation = kSilu,
                       .dropout = 0.1},
                      true, true, true),
  };
}

// As the kernel with storage type T gets them.
template <typename T>
GroupNormInputs<T, float> random_inputs(const GroupNormCase& test, double offset = 0) {
  const auto in = reference::group_norm_inputs<double>(test, offset);
  return {rounded<T>(in.x),  rounded<T>(in.skip),     rounded<T>(in.shift),     rounded<T>(in.film),
          rounded<T>(in.dy), rounded<float>(in.bias), rounded<float>(in.gamma), rounded<float>(in.beta)};
}

// As the oracle does.
template <typename T>
GroupNormInputs<double> widened(const GroupNormInputs<T, float>& in) {
  return {widened(in.x),  widened(in.skip), widened(in.shift), widened(in.film),
          widened(in.dy), widened(in.bias), widened(in.gamma), widened(in.beta)};
}

// An optional input in device memory.
template <typename T>
class OptionalInput {
 public:
  OptionalInput(const std::vector<T>& values, StreamView stream)
      : values_(values, stream), given_(!values.empty()) {}
  const T* data() const { return given_ ? values_.data() : nullptr; }

 private:
  Guarded<T> values_;
  bool given_;
};

// The inputs in device memory.
template <typename T>
struct DeviceInputs {
  DeviceInputs(const GroupNormInputs<T, float>& in, StreamView stream)
      : x(in.x, stream),
        skip(in.skip, stream),
        shift(in.shift, stream),
        film(in.film, stream),
        dy(in.dy, stream),
        bias(in.bias, stream),
        gamma(in.gamma, stream),
        beta(in.beta, stream),
        step({kDropoutStep}, stream) {}
  OptionalInput<T> x, skip, shift, film, dy;
  OptionalInput<float> bias, gamma, beta;
  OptionalInput<int64_t> step;
};

template <typename T>
GroupNormOutputs run_forward(const GroupNormParams& s, const GroupNormInputs<T, float>& in,
                             StreamView stream) {
  const DeviceInputs<T> on_device(in, stream);
  const Guarded<T> y(s.elements(), stream);
  const Guarded<float> mean(int64_t{s.n} * s.groups, stream), rstd(int64_t{s.n} * s.groups, stream);
  const Guarded<std::byte> scratch(int64_t(cuda::group_norm_scratch_bytes(s)), stream);
  cuda::group_norm<T>(s,
                      {.x = on_device.x.data(),
                       .skip = on_device.skip.data(),
                       .shift = on_device.shift.data(),
                       .bias = on_device.bias.data(),
                       .gamma = on_device.gamma.data(),
                       .beta = on_device.beta.data(),
                       .film = on_device.film.data(),
                       .y = y.data(),
                       .mean = mean.data(),
                       .rstd = rstd.data(),
                       .dropout = {kDropoutSeed, on_device.step.data()}},
                      scratch.data(), stream);
  scratch.values(stream);  // its guards
  return {widened(y.values(stream)), widened(mean.values(stream)), widened(rstd.values(stream))};
}

// The longest chain of additions in a sum over a group: a thread's pixels, a run of rows, the runs, the
// group's channels, the chunks. A sum's error is at most so many unit roundoffs of the sum of the terms'
// magnitudes.
inline double additions(const cuda::GroupNormPlan& plan) {
  return plan.steps() + cuda::GroupNormPlan::kRowsPerRun + plan.runs() + plan.channels_per_group +
         plan.chunks();
}

inline double largest(const std::vector<double>& values) {
  double result = 0;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

}  // namespace ddpm
