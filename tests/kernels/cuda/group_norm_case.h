// Group norm with random inputs, in the storage type of the kernels and in double for the reference.
#pragma once

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
using reference::largest;
using GroupNormOutputs = reference::GroupNormOutputs<double>;

// Every option, then shapes that take each path of the plan and of the kernels. All channel counts are
// multiples of 8, which both storage types support.
inline std::vector<GroupNormCase> group_norm_cases() {
  constexpr Activation kSilu = Activation::kSilu;
  std::vector<GroupNormCase> cases = reference::group_norm_option_cases(8);
  const std::vector<GroupNormCase> of_the_plan = {
      group_norm_case("SeveralImagesPerBlockWithRemainder",
                      {.n = 7, .pixels = 16, .x_channels = 32, .groups = 8}, true),
      group_norm_case("TwoChannelsPerGroup", {.n = 1, .pixels = 30, .x_channels = 16, .groups = 8}),
      group_norm_case("TwelveChannelsPerGroup",
                      {.n = 1, .pixels = 64, .x_channels = 96, .groups = 8, .activation = kSilu}),
      group_norm_case("SeveralSlices",
                      {.n = 2, .pixels = 600, .x_channels = 128, .groups = 32, .activation = kSilu}, true),
      group_norm_case(
          "TwelveChannelsPerGroupFromTwoSources",
          {.n = 2, .pixels = 25, .x_channels = 64, .skip_channels = 32, .groups = 8, .activation = kSilu},
          true),
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
  cases.insert(cases.end(), of_the_plan.begin(), of_the_plan.end());
  return cases;
}

// The inputs of a kernel with storage type T.
template <typename T>
GroupNormInputs<T, float> random_inputs(const GroupNormCase& test, double offset = 0) {
  const auto in = reference::group_norm_inputs<double>(test, offset);
  return {rounded<T>(in.x),  rounded<T>(in.skip),     rounded<T>(in.shift),     rounded<T>(in.film),
          rounded<T>(in.dy), rounded<float>(in.bias), rounded<float>(in.gamma), rounded<float>(in.beta)};
}

// The same for the reference.
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

// The longest chain of additions in a sum over a group: a thread's pixels, a run of rows, the runs,
// the channels of the group, the chunks. The error of a sum is at most this many unit roundoffs of the
// sum of magnitudes.
inline double additions(const cuda::GroupNormPlan& plan) {
  return plan.steps() + cuda::GroupNormPlan::kRowsPerRun + plan.runs() + plan.channels_per_group +
         plan.chunks();
}

}  // namespace ddpm
