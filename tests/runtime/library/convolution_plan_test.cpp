// Every convolution of the published networks has plans. Needs no GPU, only a description of one (h100.json,
// written by hand from the data sheet).
#include "runtime/library/convolution_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "model/training/training_program.h"
#include "model/unet/presets.h"
#include "runtime/library/lowering.h"
#include "support/atomic_file.h"

namespace ddpm {
namespace {

CudnnDevice h100() { return CudnnDevice::described(read_file(DDPM_H100_JSON)); }

// The cuDNN problems of a training step, with both forms of the upsampling convolution.
template <typename T>
std::vector<ConvolutionProblem> problems_of(const Preset& preset, int batch) {
  const Program program = training_program(preset.network, batch, {.count = batch}).program;
  const MemoryPlan plan = plan_memory(program, {.compute = sizeof(T), .master = sizeof(float)});
  std::vector<ConvolutionProblem> problems;
  for (const UpsampleForm form : {UpsampleForm::kFolded, UpsampleForm::kNearest})
    for (const ConvolutionProblem& problem :
         lower<T>(program, plan, UpsampleForms(form)).problems().convolutions)
      if (std::find(problems.begin(), problems.end(), problem) == problems.end()) problems.push_back(problem);
  return problems;
}

class PresetPlans : public ::testing::TestWithParam<const char*> {};

TEST_P(PresetPlans, EveryConvolutionHasADeterministicPlanWithinTheWorkspace) {
  const Preset preset = find_preset(GetParam());
  const CudnnDevice device = h100();
  const std::vector<ConvolutionProblem> problems =
      problems_of<BFloat16>(preset, preset.network.image_size > 64 ? 8 : 128);
  // At least the three directions at every resolution.
  ASSERT_GE(problems.size(), 3u * static_cast<size_t>(preset.network.levels()));
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

TEST(ConvolutionPlans, EveryFloatConvolutionHasAPlan) {
  const CudnnDevice device = h100();
  const Preset preset = find_preset("tiny-32");
  const std::vector<ConvolutionProblem> problems = problems_of<float>(preset, 16);
  ASSERT_GE(problems.size(), 3u * static_cast<size_t>(preset.network.levels()));
  for (const ConvolutionProblem& problem : problems)
    EXPECT_FALSE(convolution_plans(device, problem).empty()) << to_string(problem);
}

ConvolutionProblem middle_sized(ConvolutionDirection direction, ElementType type) {
  return {.shape = {.n = 16, .h = 16, .w = 16, .c = 64, .k = 64, .weight_channels = 64},
          .direction = direction,
          .type = type};
}

TEST(ConvolutionPlans, AccumulationKeepsEveryPlan) {
  const CudnnDevice device = h100();
  ConvolutionProblem problem = middle_sized(ConvolutionDirection::kForward, ElementType::kBfloat16);
  const size_t overwriting = convolution_plans(device, problem).size();
  ASSERT_GT(overwriting, 0u);
  problem.accumulate = true;
  EXPECT_EQ(convolution_plans(device, problem).size(), overwriting);
}

// cuDNN's own switch against rounding float to TF32, which a process reads only once.
int plans_where_tf32_is_off(const ConvolutionProblem& problem) {
  ::setenv("NVIDIA_TF32_OVERRIDE", "0", 1);
  return static_cast<int>(convolution_plans(h100(), problem).size());
}

TEST(ConvolutionPlansDeathTest, FloatPlansNeverRoundToTf32) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // sets the switch in a separate process
  for (const ConvolutionDirection direction :
       {ConvolutionDirection::kForward, ConvolutionDirection::kBackwardData,
        ConvolutionDirection::kBackwardWeight}) {
    const ConvolutionProblem problem = middle_sized(direction, ElementType::kFloat);
    EXPECT_EXIT(
        std::_Exit(plans_where_tf32_is_off(problem)),
        [&](int status) {
          const auto ours = static_cast<int>(convolution_plans(h100(), problem).size());
          return ours > 0 && WIFEXITED(status) && WEXITSTATUS(status) == ours;
        },
        "");
  }
}

TEST(ConvolutionPlans, AllowingNondeterminismAddsPlans) {
  const CudnnDevice device = h100();
  const ConvolutionProblem problem =
      middle_sized(ConvolutionDirection::kBackwardWeight, ElementType::kBfloat16);
  const size_t deterministic = convolution_plans(device, problem).size();
  ASSERT_GT(deterministic, 0u);
  EXPECT_GT(
      convolution_plans(device, problem, {.nondeterminism = PlanLimits::Nondeterminism::kAllowed}).size(),
      deterministic);
}

TEST(ConvolutionPlans, RespectsTheWorkspaceLimit) {
  const CudnnDevice device = h100();
  const ConvolutionProblem problem =
      middle_sized(ConvolutionDirection::kBackwardWeight, ElementType::kBfloat16);
  std::vector<int64_t> workspaces;
  for (const ConvolutionPlan& plan : convolution_plans(device, problem))
    workspaces.push_back(plan.workspace_bytes());
  ASSERT_FALSE(workspaces.empty());
  std::sort(workspaces.begin(), workspaces.end());
  // A limit that some plans fit and others do not.
  const int64_t limit = workspaces.front();
  ASSERT_LT(limit, workspaces.back());
  const std::vector<ConvolutionPlan> small = convolution_plans(device, problem, {.workspace_bytes = limit});
  EXPECT_EQ(static_cast<std::ptrdiff_t>(small.size()),
            std::count(workspaces.begin(), workspaces.end(), limit));
  for (const ConvolutionPlan& plan : small) EXPECT_LE(plan.workspace_bytes(), limit);
}

// Without a driver cuDNN proposes no engines that compile at build time, so this tests the rule by itself.
TEST(ConvolutionPlans, EngineNotesDecideAcceptance) {
  constexpr auto kFloat = ElementType::kFloat, kBfloat16 = ElementType::kBfloat16;
  const PlanLimits any{.nondeterminism = PlanLimits::Nondeterminism::kAllowed};
  for (const ElementType type : {kFloat, kBfloat16}) {
    EXPECT_TRUE(is_acceptable({}, type, {}));
    EXPECT_FALSE(is_acceptable({.compiled_when_built = true}, type, any));
    EXPECT_FALSE(is_acceptable({.nondeterministic = true}, type, {}));
    EXPECT_TRUE(is_acceptable({.nondeterministic = true}, type, any));
  }
  EXPECT_TRUE(is_acceptable({.tensor_cores = true}, kBfloat16, {}));
  EXPECT_FALSE(is_acceptable({.tensor_cores = true}, kFloat, {})) << "TF32";
}

TEST(CudnnDevice, DescriptionRoundTrips) {
  const nlohmann::json described = nlohmann::json::parse(CudnnDevice::described(h100().json()).json());
  const nlohmann::json given = nlohmann::json::parse(read_file(DDPM_H100_JSON));
  ASSERT_GT(given.size(), 20u);
  for (const auto& [key, value] : given.items()) {
    ASSERT_TRUE(described.contains(key)) << key;
    EXPECT_EQ(described.at(key), value) << key;
  }
}

TEST(CudnnDevice, RefusesAMalformedDescription) { EXPECT_THROW(CudnnDevice::described("{"), CudnnError); }

}  // namespace
}  // namespace ddpm
