// A fused plan against the steps it would save, with a clock of the test's.
#include "runtime/products/plan_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_types.h"
#include "tests/runtime/products/fake_timer.h"

namespace ddpm {
namespace {

struct Plan {
  std::string name;
  std::string tag() const { return name; }
};

constexpr const char* kKey = "problem";
constexpr size_t kSteps = 9;  // as a candidate of the clock

class FusedPlan : public testing::Test {
 protected:
  FusedPlan() : cache_("") {}

  // The name of the chosen plan, "steps" for none. Plans 0 and 1 are proposed.
  std::string choose(FakeTimer* timer, Unmeasured unmeasured = Unmeasured::kDoNotFuse) {
    const auto run = [&](size_t candidate) {
      if (timer == nullptr) throw LogicError("run although nothing is measured");
      timer->current = candidate;
      return true;
    };
    const FusedPlanSource<Plan> source{
        .fused = {.restore = [](const std::string& tag) -> std::optional<Plan> {
                    if (tag != "0" && tag != "1") return std::nullopt;
                    return Plan{tag};
                  },
                  .propose = [&] { return proposed_; },
                  .run = [&](const Plan& plan) { return run(std::stoul(plan.name)); }},
        .run_steps = [&] { return run(kSteps); },
        .unmeasured = unmeasured};
    const std::optional<Plan> plan = choose_fused_plan(source, kKey, cache_, timer);
    return plan ? plan->name : "steps";
  }

  std::vector<Plan> proposed_{{"0"}, {"1"}};
  PlanCache cache_;
};

TEST_F(FusedPlan, IsTakenWhereItIsFasterThanTheSteps) {
  FakeTimer timer({{0, {3}}, {1, {1}}, {kSteps, {2}}});
  EXPECT_EQ(choose(&timer), "1");
  EXPECT_EQ(choose(nullptr), "1") << "it was measured before";
}

TEST_F(FusedPlan, IsLeftWhereTheStepsAreFasterOrAsFast) {
  FakeTimer timer({{0, {3}}, {1, {2}}, {kSteps, {2}}});
  EXPECT_EQ(choose(&timer), "steps");
  EXPECT_EQ(choose(nullptr, Unmeasured::kFuse), "steps") << "it was measured before";
}

TEST_F(FusedPlan, UnmeasuredIsAsWasAskedFor) {
  EXPECT_EQ(choose(nullptr, Unmeasured::kFuse), "0");
  EXPECT_EQ(choose(nullptr, Unmeasured::kDoNotFuse), "steps");
  EXPECT_EQ(cache_.find(kKey), std::nullopt);
}

TEST_F(FusedPlan, WhereNoneIsProposedTheStepsRemain) {
  proposed_.clear();
  EXPECT_EQ(choose(nullptr, Unmeasured::kFuse), "steps");
}

TEST_F(FusedPlan, IsMeasuredAnewWhereTheCacheHoldsSomethingElse) {
  cache_.store(kKey, "of another version");
  FakeTimer timer({{0, {1}}, {1, {3}}, {kSteps, {2}}});
  EXPECT_EQ(choose(&timer), "0");
}

}  // namespace
}  // namespace ddpm
