// The choice of a plan without a GPU: real plans of a described device, a clock of the test's.
#include "runtime/cuda/convolution_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/atomic_file.h"
#include "support/error_types.h"
#include "tests/runtime/products/fake_timer.h"

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

  // All plans take two seconds but one.
  FakeTimer timer_with_winner(size_t winner) const {
    std::map<size_t, std::vector<double>> times;
    for (size_t i = 0; i < tags_.size(); ++i) times[i] = {i == winner ? 1.0 : 2.0};
    return FakeTimer(std::move(times));
  }
  // "Runs" a plan by telling the timer which one it is.
  std::function<bool(const ConvolutionPlan&)> telling(FakeTimer& timer) const {
    return [this, &timer](const ConvolutionPlan& plan) {
      const auto found = std::find(tags_.begin(), tags_.end(), plan.tag());
      timer.current = static_cast<size_t>(found - tags_.begin());
      return true;
    };
  }

  CudnnDevice device_;
  PlanCache cache_;
  std::vector<std::string> tags_;
};

bool must_not_run(const ConvolutionPlan&) {
  throw LogicError("a plan was run although it need not be measured");
}

TEST_F(ConvolutionChoice, TakesTheFastestAndRemembersIt) {
  ASSERT_GT(tags_.size(), 3u);
  FakeTimer timer = timer_with_winner(3);
  ConvolutionChooser chooser(device_, {}, cache_, &timer);
  const ConvolutionPlan chosen = chooser.choose(kProblem, telling(timer));
  EXPECT_EQ(chosen.tag(), tags_[3]);
  const ConvolutionPlan again = chooser.choose(kProblem, must_not_run);
  EXPECT_EQ(again.tag(), chosen.tag());
  EXPECT_EQ(again.workspace_bytes(), chosen.workspace_bytes());
}

TEST_F(ConvolutionChoice, WithoutAClockTakesTheFirstProposalAndRemembersNothing) {
  ConvolutionChooser chooser(device_, {}, cache_, nullptr);
  EXPECT_EQ(chooser.choose(kProblem, must_not_run).tag(), tags_[0]);
  EXPECT_EQ(cache_.find(chooser.cache_key(kProblem)), std::nullopt);
}

TEST_F(ConvolutionChoice, MeasuresAnewWhereTheCacheHoldsAnotherProblemsPlan) {
  FakeTimer timer = timer_with_winner(1);
  ConvolutionChooser chooser(device_, {}, cache_, &timer);
  ConvolutionProblem larger = kProblem;
  larger.shape.n = 32;
  const std::string foreign = convolution_plans(device_, larger).front().tag();
  for (const std::string& wrong : {foreign, std::string("{}"), std::string("no JSON")}) {
    cache_.store(chooser.cache_key(kProblem), wrong);
    EXPECT_EQ(chooser.choose(kProblem, telling(timer)).tag(), tags_[1]);
  }
}

TEST_F(ConvolutionChoice, AShapeWithoutPlanIsNamed) {
  ConvolutionChooser chooser(device_, {.workspace_bytes = -1}, cache_, nullptr);
  try {
    chooser.choose(kProblem, must_not_run);
    FAIL() << "there can be no plan with less than no workspace";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("forward bf16 16x16x16x64 -> 16x16x64 3x3 stride 1 pad 1,1"));
  }
}

TEST_F(ConvolutionChoice, ThatNoPlanRunsIsAnErrorToo) {
  FakeTimer timer = timer_with_winner(0);
  ConvolutionChooser chooser(device_, {}, cache_, &timer);
  EXPECT_THROW(chooser.choose(kProblem, [](const ConvolutionPlan&) { return false; }), InputError);
}

TEST_F(ConvolutionChoice, TheKeyNamesAllThatTheChoiceDependsOn) {
  const std::string key = ConvolutionChooser(device_, {}, cache_, nullptr).cache_key(kProblem);
  EXPECT_THAT(key, AllOf(HasSubstr("NVIDIA H100 80GB HBM3"), HasSubstr("sm_90"),
                         HasSubstr(std::to_string(cudnnGetVersion())), HasSubstr(to_string(kProblem))));
  const PlanLimits smaller{.workspace_bytes = 1}, any{.nondeterminism = PlanLimits::Nondeterminism::kAllowed};
  EXPECT_NE(key, ConvolutionChooser(device_, smaller, cache_, nullptr).cache_key(kProblem));
  EXPECT_NE(key, ConvolutionChooser(device_, any, cache_, nullptr).cache_key(kProblem));
}

TEST_F(ConvolutionChoice, ABiasIsFusedOnlyWhereThatWasMeasuredToBeFaster) {
  const ConvolutionProblem wish{.shape = kProblem.shape, .bias = true, .residual = true};
  const std::string first = convolution_plans(device_, wish).front().tag();
  enum : size_t { kFirst, kOther, kSteps };
  for (const double seconds_in_steps : {0.5, 2.0}) {
    PlanCache cache("");
    FakeTimer timer({{kFirst, {1}}, {kOther, {3}}, {kSteps, {seconds_in_steps}}});
    const auto run = [&](const ConvolutionPlan& plan) {
      timer.current = plan.tag() == first ? kFirst : kOther;
      return true;
    };
    const auto run_steps = [&] {
      timer.current = kSteps;
      return true;
    };
    const auto must_not_run_steps = []() -> bool { throw LogicError("steps were run"); };
    EXPECT_FALSE(ConvolutionChooser(device_, {}, cache, nullptr)
                     .choose_fused(wish, must_not_run, must_not_run_steps)
                     .has_value());
    ConvolutionChooser chooser(device_, {}, cache, &timer);
    EXPECT_EQ(chooser.choose_fused(wish, run, run_steps).has_value(), seconds_in_steps > 1);
    const auto again = chooser.choose_fused(wish, must_not_run, must_not_run_steps);
    EXPECT_EQ(again ? again->tag() : "steps", seconds_in_steps > 1 ? first : "steps");
  }
}

TEST(RestoredPlan, OfAConvolutionWithBiasIsOneOfTheSameAdditions) {
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

TEST(RestoredPlan, IsTheSameForEveryPlanOfEveryDirection) {
  const CudnnDevice device = CudnnDevice::described(read_file(DDPM_H100_JSON));
  for (const ConvolutionDirection direction :
       {ConvolutionDirection::kForward, ConvolutionDirection::kBackwardData,
        ConvolutionDirection::kBackwardWeight}) {
    // Stride 2 with padding (0,1), accumulated: all that a description has to hold.
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
