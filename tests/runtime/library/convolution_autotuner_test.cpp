// Choosing a plan without a GPU: real plans of a described device, and a fake timer.
#include "runtime/library/convolution_autotuner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/atomic_file.h"
#include "support/error_types.h"
#include "tests/runtime/library/fake_timer.h"

namespace ddpm {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr ConvolutionProblem kProblem{
    .shape = {.n = 16, .h = 16, .w = 16, .c = 64, .k = 64, .weight_channels = 64}};

class ConvolutionChoice : public testing::Test {
 protected:
  ConvolutionChoice() : device_(CudnnDevice::described(read_file(DDPM_H100_JSON))), cache_("") {
    for (const ConvolutionPlan& plan : convolution_plans(device_, kProblem)) tags_.push_back(plan.tag());
  }
  void SetUp() override { ASSERT_GT(tags_.size(), 3u) << "too few plans to choose from"; }

  // All plans but one take two seconds.
  FakeTimer timer_with_winner(size_t winner) const {
    std::map<size_t, std::vector<double>> times;
    for (size_t i = 0; i < tags_.size(); ++i) times[i] = {i == winner ? 1.0 : 2.0};
    return FakeTimer(std::move(times));
  }
  // "Runs" a plan by telling the timer which it is.
  ConvolutionTrials telling(FakeTimer& timer) const {
    return {.run = [this, &timer](const ConvolutionPlan& plan) {
      const auto found = std::find(tags_.begin(), tags_.end(), plan.tag());
      timer.current = static_cast<size_t>(found - tags_.begin());
      return true;
    }};
  }
  ConvolutionAutotuner chooser(WorkTimer* timer, const PlanLimits& limits = {}) {
    return {device_, kMachine, limits, {cache_, timer, statistics_}};
  }

  static constexpr const char* kMachine = "NVIDIA H100 80GB HBM3 sm_90 driver 13000";
  static std::string key(const PlanLimits& limits = {}) {
    return convolution_key(kMachine, limits, kProblem);
  }

  CudnnDevice device_;
  PlanCache cache_;
  PlanStatistics statistics_;
  std::vector<std::string> tags_;
};

const ConvolutionTrials kMustNotRun{.run = [](const ConvolutionPlan&) -> bool {
  throw LogicError("a plan was run although it need not be measured");
}};

TEST_F(ConvolutionChoice, PicksAndCachesTheFastest) {
  FakeTimer timer = timer_with_winner(3);
  ConvolutionAutotuner choosing = chooser(&timer);
  const ConvolutionPlan chosen = choosing.choose(kProblem, telling(timer));
  EXPECT_EQ(chosen.tag(), tags_[3]);
  EXPECT_EQ(statistics_.built, static_cast<int64_t>(tags_.size()));
  EXPECT_GE(statistics_.proposed, statistics_.built);
  const ConvolutionPlan again = choosing.choose(kProblem, kMustNotRun);
  EXPECT_EQ(again.tag(), chosen.tag());
  EXPECT_EQ(again.workspace_bytes(), chosen.workspace_bytes());
}

TEST_F(ConvolutionChoice, WithoutATimerTakesTheFirstProposalAndCachesNothing) {
  EXPECT_EQ(chooser(nullptr).choose(kProblem, kMustNotRun).tag(), tags_[0]);
  EXPECT_EQ(cache_.find(key()), std::nullopt);
}

TEST_F(ConvolutionChoice, WithoutATimerBuildsOnlyTheFirstPlan) {
  chooser(nullptr).choose(kProblem, kMustNotRun);
  EXPECT_EQ(statistics_.built, 1);
  EXPECT_LT(statistics_.proposed, static_cast<int64_t>(tags_.size()))
      << "unneeded configurations were considered";
}

TEST_F(ConvolutionChoice, SkipsWrongPlans) {
  ConvolutionTrials trials = kMustNotRun;
  trials.find_fault = [&](const ConvolutionPlan& plan) -> std::optional<std::string> {
    return plan.tag() == tags_[0] ? std::optional<std::string>("wrong") : std::nullopt;
  };
  EXPECT_EQ(chooser(nullptr).choose(kProblem, trials).tag(), tags_[1]);
  EXPECT_EQ(statistics_.built, 2);
  trials.find_fault = [](const ConvolutionPlan&) { return std::optional<std::string>("wrong"); };
  try {
    chooser(nullptr).choose(kProblem, trials);
    FAIL() << "a wrong plan was taken";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(tags_.size()) + " refused"));
  }
}

// The name used in errors and log lines.
TEST_F(ConvolutionChoice, PlanNameListsEngineAndKnobs) {
  const ConvolutionPlan plan = chooser(nullptr).choose(kProblem, kMustNotRun);
  EXPECT_THAT(plan.name(),
              testing::MatchesRegex(R"(cuDNN engine [0-9]+ \([A-Z_]+ [0-9]+(, [A-Z_]+ [0-9]+)*\))"));
}

TEST_F(ConvolutionChoice, RemeasuresWhenTheCachedPlanIsForAnotherProblem) {
  FakeTimer timer = timer_with_winner(1);
  ConvolutionAutotuner choosing = chooser(&timer);
  ConvolutionProblem larger = kProblem;
  larger.shape.n = 32;
  const std::vector<ConvolutionPlan> plans_of_larger = convolution_plans(device_, larger);
  ASSERT_FALSE(plans_of_larger.empty());
  const std::string foreign = plans_of_larger.front().tag();
  for (const std::string& wrong : {foreign, std::string("{}"), std::string("no JSON")}) {
    cache_.store(key(), wrong);
    EXPECT_EQ(choosing.choose(kProblem, telling(timer)).tag(), tags_[1]);
  }
}

TEST_F(ConvolutionChoice, ErrorNamesTheShapeWithoutPlans) {
  try {
    chooser(nullptr, {.workspace_bytes = -1}).choose(kProblem, kMustNotRun);
    FAIL() << "no plan fits a negative workspace";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("forward bf16 16x16x16x64 -> 16x16x64 3x3 stride 1 pad 1,1"));
  }
}

TEST_F(ConvolutionChoice, FailsWhenNoPlanRuns) {
  FakeTimer timer = timer_with_winner(0);
  const ConvolutionTrials refusing{.run = [](const ConvolutionPlan&) { return false; }};
  EXPECT_THROW(chooser(&timer).choose(kProblem, refusing), InputError);
}

TEST_F(ConvolutionChoice, KeyCoversEverythingTheChoiceDependsOn) {
  EXPECT_THAT(key(), AllOf(HasSubstr("NVIDIA H100 80GB HBM3"), HasSubstr("sm_90"), HasSubstr("driver 13000"),
                           HasSubstr(std::to_string(cudnnGetVersion())), HasSubstr(to_string(kProblem))));
  EXPECT_NE(key(), key({.workspace_bytes = 1}));
  EXPECT_NE(key(), key({.nondeterminism = PlanLimits::Nondeterminism::kAllowed}));
  EXPECT_NE(key(), convolution_key("another driver", {}, kProblem));
}

TEST_F(ConvolutionChoice, FusesBiasOnlyWhenMeasuredFaster) {
  const ConvolutionProblem fused{.shape = kProblem.shape, .bias = true, .residual = true};
  const std::vector<ConvolutionPlan> plans = convolution_plans(device_, fused);
  ASSERT_FALSE(plans.empty());
  const std::string first = plans.front().tag();
  enum : size_t { kFirst, kOther, kUnfused };
  for (const double unfused_seconds : {0.5, 2.0}) {
    PlanCache cache("");
    PlanStatistics statistics;
    FakeTimer timer({{kFirst, {1}}, {kOther, {3}}, {kUnfused, {unfused_seconds}}});
    const ConvolutionTrials trials{.run = [&](const ConvolutionPlan& plan) {
      timer.current = plan.tag() == first ? kFirst : kOther;
      return true;
    }};
    const auto run_unfused = [&] {
      timer.current = kUnfused;
      return true;
    };
    const auto must_not_run_unfused = []() -> bool { throw LogicError("the unfused ops were run"); };
    EXPECT_FALSE(ConvolutionAutotuner(device_, kMachine, {}, {cache, nullptr, statistics})
                     .choose_fused(fused, kMustNotRun, must_not_run_unfused)
                     .has_value());
    EXPECT_EQ(statistics.built, 0);
    ConvolutionAutotuner choosing(device_, kMachine, {}, {cache, &timer, statistics});
    EXPECT_EQ(choosing.choose_fused(fused, trials, run_unfused).has_value(), unfused_seconds > 1);
    const auto again = choosing.choose_fused(fused, kMustNotRun, must_not_run_unfused);
    EXPECT_EQ(again ? again->tag() : "unfused", unfused_seconds > 1 ? first : "unfused");
  }
}

TEST(RestoredPlan, KeepsBiasAndResidual) {
  const CudnnDevice device = CudnnDevice::described(read_file(DDPM_H100_JSON));
  const ConvolutionProblem plain = kProblem;
  ConvolutionProblem bias = plain, both = plain;
  bias.bias = both.bias = both.residual = true;
  const std::vector<ConvolutionProblem> problems = {plain, bias, both};
  for (const ConvolutionProblem& made_for : problems) {
    const std::vector<ConvolutionPlan> plans = convolution_plans(device, made_for);
    ASSERT_FALSE(plans.empty()) << to_string(made_for);
    for (const ConvolutionProblem& asked_for : problems)
      EXPECT_EQ(restored_convolution_plan(device, asked_for, plans.front().tag()).has_value(),
                asked_for == made_for)
          << to_string(made_for) << " as " << to_string(asked_for);
  }
}

TEST(RestoredPlan, MatchesEveryPlanOfEveryDirection) {
  const CudnnDevice device = CudnnDevice::described(read_file(DDPM_H100_JSON));
  for (const ConvolutionDirection direction :
       {ConvolutionDirection::kForward, ConvolutionDirection::kBackwardData,
        ConvolutionDirection::kBackwardWeight}) {
    // Stride 2 with padding (0, 1), accumulated: everything a description must record.
    ConvolutionProblem problem{.shape = {.n = 16,
                                         .h = 16,
                                         .w = 16,
                                         .c = 32,
                                         .k = 64,
                                         .stride = 2,
                                         .pad_before = 0,
                                         .weight_channels = 32},
                               .direction = direction,
                               .accumulate = true};
    const std::vector<ConvolutionPlan> plans = convolution_plans(device, problem);
    ASSERT_FALSE(plans.empty());
    for (const ConvolutionPlan& plan : plans) {
      const auto restored = restored_convolution_plan(device, problem, plan.tag());
      ASSERT_TRUE(restored.has_value()) << plan.tag();
      EXPECT_EQ(restored->workspace_bytes(), plan.workspace_bytes());
    }
    problem.accumulate = false;
    EXPECT_FALSE(restored_convolution_plan(device, problem, plans.front().tag()).has_value());
  }
}

}  // namespace
}  // namespace ddpm
