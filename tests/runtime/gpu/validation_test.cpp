// Validation detects faulty devices, simulated by running a slightly different network, and
// accepts correct ones.
#include "model/training/validation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>

#include "model/training/training_program.h"
#include "tests/model/training/small_training.h"
#include "tests/runtime/gpu/unmeasured_executors.h"

namespace ddpm {
namespace {

ValidationOptions small_validation(ComputePrecision precision) {
  ValidationOptions options{.config = small_config(),
                            .precision = precision,
                            .reference = ValidationOptions::Reference::kDouble,
                            .trajectory_steps = 3};
  options.config.network.initialization = Initialization::kPyTorch;
  return options;
}

// A device that runs the program of a configuration which `mistake` changed.
ExecutorFactory mistaken(const ValidationOptions& options, const std::function<void(TrainConfig&)>& mistake) {
  return [=](const Program& program) {
    TrainConfig changed = options.config;
    mistake(changed);
    const TrainingData data{.count = program.shape(program.find("dataset"))[0]};
    return unmeasured_executors(options.precision)(training_program(changed, data).program);
  };
}

std::set<std::string> kinds_beyond_bounds(const ValidationReport& report) {
  std::set<std::string> kinds;
  for (const OutputError& error : report.operations)
    if (!error.is_within_bound()) kinds.insert(error.kind);
  return kinds;
}

class Validation : public testing::TestWithParam<ComputePrecision> {};

TEST_P(Validation, CorrectDeviceIsWithinBounds) {
  const ValidationOptions options = small_validation(GetParam());
  const ValidationReport report = validate_training(options, unmeasured_executors(GetParam()));
  EXPECT_FALSE(report.operations.empty());
  EXPECT_TRUE(report.is_within_bounds());
  EXPECT_TRUE(validate_training(options, mistaken(options, [](TrainConfig&) {})).is_within_bounds());
}

TEST_P(Validation, UsesTheConfiguredLossWeights) {
  ValidationOptions options = small_validation(GetParam());
  options.config.loss_weighting = LossWeighting::kMinSnr;
  bool has_weights = false;
  const ExecutorFactory device = [&](const Program& program) {
    const auto& buffers = program.buffers();
    has_weights = std::any_of(buffers.begin(), buffers.end(),
                              [](const Buffer& buffer) { return buffer.name == "loss_weight"; });
    return unmeasured_executors(GetParam())(program);
  };
  // Unwritten weights would be zeros, and the relative error of a zero loss is NaN.
  EXPECT_TRUE(validate_training(options, device).is_within_bounds());
  EXPECT_TRUE(has_weights);
}

TEST_P(Validation, DetectsWrongPadding) {
  const ValidationOptions options = small_validation(GetParam());
  const ValidationReport report = validate_training(options, mistaken(options, [](TrainConfig& changed) {
                                                      changed.network.downsampling = Downsampling::kPadAround;
                                                    }));
  EXPECT_FALSE(report.is_within_bounds());
  EXPECT_EQ(kinds_beyond_bounds(report),
            (std::set<std::string>{"conv2d", "conv2d_backward_data", "conv2d_backward_weight"}));
  for (const OutputError& error : report.operations)
    EXPECT_TRUE(error.is_within_bound() || error.name.find("downsamplers.0") != std::string::npos)
        << error.name;
}

TEST_P(Validation, DetectsAnotherDropoutMask) {
  const ValidationOptions options = small_validation(GetParam());
  const ValidationReport report =
      validate_training(options, mistaken(options, [](TrainConfig& changed) { changed.dropout = 0.2; }));
  EXPECT_EQ(kinds_beyond_bounds(report), (std::set<std::string>{"group_norm", "group_norm_backward"}));
}

// (1 - 0.999) against (1 - 0.9985): only v shows the difference.
TEST_P(Validation, DetectsAnotherOptimizerDecay) {
  const ValidationOptions options = small_validation(GetParam());
  const ValidationReport report = validate_training(
      options, mistaken(options, [](TrainConfig& changed) { changed.optimizer.beta2 = 0.9985; }));
  EXPECT_EQ(kinds_beyond_bounds(report), (std::set<std::string>{"adam_ema"}));
  EXPECT_EQ(report.operations.front().output, "v") << "worst first";
}

TEST_P(Validation, DetectsDriftingSteps) {
  const ValidationOptions options = small_validation(GetParam());
  ValidationReport report = validate_training(
      options, mistaken(options, [](TrainConfig& changed) { changed.optimizer.learning_rate *= 50; }));
  report.operations.clear();
  EXPECT_FALSE(report.is_within_bounds()) << "the losses alone must show it";
}

INSTANTIATE_TEST_SUITE_P(Precisions, Validation,
                         testing::Values(ComputePrecision::kFp32, ComputePrecision::kBf16),
                         [](const auto& one) { return std::string(precision_name(one.param)); });

}  // namespace
}  // namespace ddpm
