// Every convolution of the published networks has plans, checked without a GPU against a description of one
// (h100.json, written by hand from the data sheet).
#include "runtime/cuda/convolution_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "model/presets.h"
#include "model/training_program.h"
#include "support/atomic_file.h"

namespace ddpm {
namespace {

CudnnDevice h100() { return CudnnDevice::described(read_file(DDPM_H100_JSON)); }

void add_once(std::vector<ConvolutionProblem>& problems, const ConvolutionProblem& problem) {
  if (std::find(problems.begin(), problems.end(), problem) == problems.end()) problems.push_back(problem);
}

// The 3x3 convolutions of a training step, and what an upsampling one may run as: the gradient of a 4x4
// convolution of stride 2. 1x1 convolutions are matrix products.
std::vector<ConvolutionProblem> problems_of(const Preset& preset, int batch) {
  std::vector<ConvolutionProblem> problems;
  const TrainingProgram training =
      training_program({.network = preset.network, .batch = batch, .dataset_count = batch});
  const auto add = [&](const Conv2dShape& shape, ConvolutionDirection direction) {
    if (shape.filter > 1) add_once(problems, {.shape = shape, .direction = direction});
  };
  for (const Operation& operation : training.program.operations()) {
    if (const auto* op = std::get_if<Conv2d>(&operation.operation))
      add(op->shape, ConvolutionDirection::kForward);
    if (const auto* op = std::get_if<Conv2dBackwardData>(&operation.operation))
      add(op->shape, ConvolutionDirection::kBackwardData);
    if (const auto* op = std::get_if<Conv2dBackwardWeight>(&operation.operation))
      add(op->shape, ConvolutionDirection::kBackwardWeight);
    if (const auto* op = std::get_if<UpsampleConv2d>(&operation.operation)) {
      const UpsampleConv2dShape& s = op->shape;
      const Conv2dShape folded{.n = s.n,
                               .h = 2 * s.h,
                               .w = 2 * s.w,
                               .c = s.k,
                               .k = s.c,
                               .filter = 4,
                               .stride = 2,
                               .weight_channels = s.k};
      for (const ConvolutionDirection direction :
           {ConvolutionDirection::kForward, ConvolutionDirection::kBackwardData,
            ConvolutionDirection::kBackwardWeight}) {
        add(s.upsampled(), direction);
        add(folded, direction);
      }
    }
  }
  return problems;
}

class PresetPlans : public ::testing::TestWithParam<const char*> {};

TEST_P(PresetPlans, EveryConvolutionHasADeterministicPlanWithinTheWorkspace) {
  const Preset preset = find_preset(GetParam());
  const CudnnDevice device = h100();
  const std::vector<ConvolutionProblem> problems =
      problems_of(preset, preset.network.image_size > 64 ? 8 : 128);
  // Three directions at every resolution at the least.
  EXPECT_GE(problems.size(), 3u * static_cast<size_t>(preset.network.levels()));
  for (const ConvolutionProblem& problem : problems) {
    const std::vector<ConvolutionPlan> plans = convolution_plans(device, problem);
    EXPECT_FALSE(plans.empty()) << to_string(problem);
    for (const ConvolutionPlan& plan : plans) EXPECT_LE(plan.workspace_bytes(), PlanLimits().workspace_bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PresetPlans,
                         ::testing::Values("ddpm-cifar10-32", "ddim-celeba-64", "ddpm-celebahq-256",
                                           "tiny-32"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

ConvolutionProblem middle_sized(ConvolutionDirection direction, ConvolutionType type) {
  return {.shape = {.n = 16, .h = 16, .w = 16, .c = 64, .k = 64, .weight_channels = 64},
          .direction = direction,
          .type = type};
}

TEST(ConvolutionPlans, AccumulationCostsNoPlans) {
  const CudnnDevice device = h100();
  ConvolutionProblem problem = middle_sized(ConvolutionDirection::kForward, ConvolutionType::kBfloat16);
  const size_t overwriting = convolution_plans(device, problem).size();
  problem.accumulate = true;
  EXPECT_EQ(convolution_plans(device, problem).size(), overwriting);
}

TEST(ConvolutionPlans, FloatHasPlansThatKeepItsPrecision) {
  const CudnnDevice device = h100();
  for (const ConvolutionDirection direction :
       {ConvolutionDirection::kForward, ConvolutionDirection::kBackwardData,
        ConvolutionDirection::kBackwardWeight})
    EXPECT_FALSE(convolution_plans(device, middle_sized(direction, ConvolutionType::kFloat)).empty());
}

TEST(ConvolutionPlans, AllowingNondeterminismOnlyAddsPlans) {
  const CudnnDevice device = h100();
  const ConvolutionProblem problem =
      middle_sized(ConvolutionDirection::kBackwardWeight, ConvolutionType::kBfloat16);
  const size_t refused = convolution_plans(device, problem).size();
  EXPECT_GT(
      convolution_plans(device, problem, {.nondeterminism = PlanLimits::Nondeterminism::kAllowed}).size(),
      refused);
}

TEST(ConvolutionPlans, AWorkspaceLimitIsKept) {
  const CudnnDevice device = h100();
  const ConvolutionProblem problem =
      middle_sized(ConvolutionDirection::kBackwardWeight, ConvolutionType::kBfloat16);
  const size_t all = convolution_plans(device, problem).size();
  const std::vector<ConvolutionPlan> small = convolution_plans(device, problem, {.workspace_bytes = 0});
  EXPECT_LT(small.size(), all);
  for (const ConvolutionPlan& plan : small) EXPECT_EQ(plan.workspace_bytes(), 0);
}

TEST(CudnnDevice, DescribesItselfAsItWasDescribed) {
  const CudnnDevice again = CudnnDevice::described(h100().json());
  EXPECT_THAT(again.json(), ::testing::HasSubstr("\"multiProcessorCount\":132"));
}

TEST(CudnnDevice, RefusesWhatIsNoDescription) { EXPECT_THROW(CudnnDevice::described("{"), CudnnError); }

TEST(ConvolutionProblem, NamesItself) {
  const ConvolutionProblem problem{
      .shape = {.n = 2, .h = 8, .w = 8, .c = 4, .k = 6, .stride = 2, .pad_before = 0, .weight_channels = 4},
      .direction = ConvolutionDirection::kBackwardData,
      .type = ConvolutionType::kFloat,
      .accumulate = true};
  EXPECT_EQ(to_string(problem), "backward_data fp32 2x8x8x4 -> 4x4x6 3x3 stride 2 pad 0,1 accumulate");
}

}  // namespace
}  // namespace ddpm
