// Choosing among the plans of a fake library with a fake timer: which plans are built, tried, refused and
// cached; and a fused plan against its unfused ops.
#include "runtime/library/autotuner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "support/error_types.h"
#include "tests/runtime/library/fake_timer.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Optional;

struct Plan {
  std::string number;
  std::string tag() const { return number; }
  std::string name() const { return "engine " + number; }
};

constexpr const char* kKey = "problem";
constexpr size_t kUnfused = 9;  // as a candidate of the clock

// Plans "0", "1", ..., proposed one by one like a library's.
Proposals<Plan> proposals(size_t count, int& made) {
  return [count, &made, next = size_t{0}]() mutable -> std::optional<Plan> {
    if (next == count) return std::nullopt;
    ++made;
    return Plan{std::to_string(next++)};
  };
}

class Library : public testing::Test {
 protected:
  PlanSource<Plan> source(FakeTimer* timer = nullptr) {
    return {.restore = [this](const std::string& tag) -> std::optional<Plan> {
              if (tag == unknown_) return std::nullopt;
              return Plan{tag};
            },
            .propose = [this] { return proposals(3, made_); },
            .begin_trials = [this] { ++begun_; },
            .run =
                [this, timer](const Plan& plan) {
                  if (timer == nullptr) throw LogicError("run although nothing is measured");
                  run_.push_back(plan.tag());
                  if (plan.tag() == breaks_) throw CudaError("an illegal memory access", 700);
                  timer->current = std::stoul(plan.number);
                  return true;
                },
            .find_fault = [this](const Plan& plan) -> std::optional<std::string> {
              checked_.push_back(plan.tag());
              if (plan.tag() == kills_) std::_Exit(9);
              const auto fault = faults_.find(plan.tag());
              return fault == faults_.end() ? std::nullopt : std::optional(fault->second);
            }};
  }
  // The chosen plan's tag, "none" for none.
  std::string choose(PlanCache& cache, FakeTimer* timer) {
    const std::optional<Plan> plan = choose_plan(source(timer), kKey, {cache, timer, statistics_, check_});
    return plan ? plan->tag() : "none";
  }
  // With a new process's cache on the same file.
  std::string choose_in_new_process(FakeTimer* timer) {
    PlanCache cache(file(), [this](const std::string& line) { log_.push_back(line); });
    return choose(cache, timer);
  }
  std::filesystem::path file() const { return folder_.path() / "plans.json"; }

  TemporaryFolder folder_;
  std::map<std::string, std::string> faults_;
  std::string breaks_, kills_, unknown_;
  int made_ = 0, begun_ = 0;
  std::vector<std::string> run_, checked_, log_;
  PlanStatistics statistics_;
  PlanCheck check_ = PlanCheck::kRefuse;
};

TEST_F(Library, WithoutATimerBuildsOnlyOneWorkingPlan) {
  PlanCache cache("");
  EXPECT_EQ(choose(cache, nullptr), "0");
  EXPECT_EQ(made_, 1);
  EXPECT_THAT(checked_, ElementsAre("0"));
  EXPECT_EQ(cache.find(kKey), std::nullopt) << "unmeasured plans are not cached";
}

TEST_F(Library, WithoutATimerFallsBackToTheNextPlan) {
  PlanCache cache("");
  faults_["0"] = "wrong";
  EXPECT_EQ(choose(cache, nullptr), "1");
  EXPECT_EQ(made_, 2);
}

TEST_F(Library, PicksChecksAndCachesTheFastest) {
  FakeTimer timer({{0, {2}}, {1, {1}}, {2, {3}}});
  EXPECT_EQ(choose_in_new_process(&timer), "1");
  EXPECT_THAT(checked_, ElementsAre("1"));
  run_.clear(), checked_.clear();
  made_ = begun_ = 0;
  EXPECT_EQ(choose_in_new_process(&timer), "1");
  EXPECT_EQ(made_ + begun_, 0);
  EXPECT_THAT(run_, IsEmpty());
  EXPECT_THAT(checked_, IsEmpty());
}

TEST_F(Library, RefusesAWrongPlanAndTakesTheNextBest) {
  FakeTimer timer({{0, {2}}, {1, {1}}, {2, {3}}});
  faults_["1"] = "two runs on the same inputs differ";
  EXPECT_EQ(choose_in_new_process(&timer), "0");
  EXPECT_THAT(checked_, ElementsAre("1", "0"));
  EXPECT_THAT(log_, ElementsAre("refused engine 1 for problem: two runs on the same inputs differ"));
  EXPECT_EQ(statistics_.refused, 1);
  // Later runs do not even try it.
  PlanCache cache(file());
  cache.store(kKey, "1");  // as an older run may have chosen it
  run_.clear();
  EXPECT_EQ(choose(cache, &timer), "0");
  EXPECT_THAT(run_, Not(Contains("1")));
}

TEST_F(Library, WarnModeUsesAWrongPlan) {
  FakeTimer timer({{0, {2}}, {1, {1}}, {2, {3}}});
  faults_["1"] = "two runs on the same inputs differ";
  check_ = PlanCheck::kWarn;
  EXPECT_EQ(choose_in_new_process(&timer), "1");
  EXPECT_THAT(log_,
              ElementsAre("warning: engine 1 for problem: two runs on the same inputs differ; used anyway "
                          "(plan_check = warn)"));
  EXPECT_EQ(statistics_.refused, 0);
}

TEST_F(Library, OffModeChecksNothing) {
  PlanCache cache("");
  faults_["0"] = "wrong";
  check_ = PlanCheck::kOff;
  EXPECT_EQ(choose(cache, nullptr), "0");
  EXPECT_THAT(checked_, IsEmpty());
}

TEST_F(Library, ReturnsNothingWhenEveryPlanIsWrong) {
  FakeTimer timer({{0, {2}}, {1, {1}}, {2, {3}}});
  faults_ = {{"0", "a"}, {"1", "b"}, {"2", "c"}};
  PlanCache cache("");
  EXPECT_EQ(choose(cache, &timer), "none");
  EXPECT_EQ(cache.refused_plans(kKey), 3u);
}

TEST_F(Library, DeviceErrorNamesThePlanAndTheRemedy) {
  FakeTimer timer({{0, {2}}, {1, {1}}, {2, {3}}});
  breaks_ = "1";
  try {
    choose_in_new_process(&timer);
    FAIL() << "the device's error was swallowed";
  } catch (const CudaError& error) {
    EXPECT_EQ(error.code(), 700);
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("an illegal memory access"), HasSubstr("engine 1"), HasSubstr("problem"),
                      HasSubstr("run again"), HasSubstr("--plan-choice first")));
  }
  run_.clear();
  EXPECT_EQ(choose_in_new_process(&timer), "0");
  EXPECT_THAT(run_, Not(Contains("1")));
}

TEST_F(Library, OutOfMemoryRefusesNoPlan) {
  FakeTimer timer({{0, {2}}, {1, {1}}});
  PlanCache cache(file());
  PlanSource<Plan> poor = source(&timer);
  poor.run = [](const Plan&) -> bool { throw CudaError("out of memory", 2); };
  EXPECT_THROW(choose_plan(poor, kKey, {cache, &timer, statistics_}), CudaError);
  EXPECT_EQ(cache.refused_plans(kKey), 0u);
}

TEST_F(Library, PlanThatKillsTheProcessIsRefusedNextTime) {
  FakeTimer timer({{0, {2}}, {1, {1}}, {2, {3}}});
  kills_ = "1";
  const pid_t child = ::fork();
  if (child == 0) {
    choose_in_new_process(&timer);
    std::_Exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(WEXITSTATUS(status), 9) << "the plan was not tried";
  EXPECT_EQ(choose_in_new_process(&timer), "0");
  EXPECT_THAT(log_, ElementsAre(AllOf(HasSubstr("engine 1"), HasSubstr("ended before"))));
  EXPECT_THAT(checked_, ElementsAre("0"));
}

TEST_F(Library, StatisticsCountPlansAndSeconds) {
  FakeTimer timer({{0, {2}}, {1, {1}}, {2, {3}}});
  PlanCache cache("");
  choose(cache, &timer);
  EXPECT_EQ(statistics_.problems, 1);
  EXPECT_GT(statistics_.proposing_seconds, 0);
  EXPECT_GT(statistics_.measuring_seconds, 0);
  EXPECT_GT(statistics_.checking_seconds, 0);
  choose(cache, &timer);  // known
  EXPECT_EQ(statistics_.problems, 2);
  EXPECT_EQ(
      to_string(PlanStatistics{143, 5057, 4990, 2, 3.46, 61.2, 2.11}),
      "prepared 143 convolutions and GEMMs: 5057 plans proposed, 4990 built in 3.5 s, measured in 61.2 s, "
      "checked in 2.1 s (2 refused)");
  EXPECT_EQ(to_string(PlanStatistics{1, 1, 1, 0, 0.04, 0, 0}),
            "prepared 1 convolution or GEMM: 1 plan proposed, 1 built in 0.0 s");
}

// Otherwise every run would measure again without saying why.
TEST_F(Library, CountsPlansThatCannotBeRestored) {
  FakeTimer timer({{0, {2}}, {1, {1}}, {2, {3}}});
  PlanCache cache("");
  unknown_ = "of another version";
  cache.store(kKey, unknown_);
  EXPECT_EQ(choose(cache, &timer), "1");
  EXPECT_EQ(statistics_.unusable, 1);
  choose(cache, &timer);
  EXPECT_EQ(statistics_.unusable, 1);
  EXPECT_EQ(to_string(PlanStatistics{.problems = 1, .proposed = 1, .built = 1, .unusable = 1}),
            "prepared 1 convolution or GEMM: 1 plan proposed, 1 built in 0.0 s; 1 cached plan could not be "
            "restored");
}

TEST(Way, CachesTheFastestByName) {
  PlanCache cache("");
  PlanStatistics statistics;
  const Ways ways{"layer", {"folded", "nearest"}};
  EXPECT_EQ(kept_way(ways, cache), std::nullopt);
  FakeTimer timer({{0, {2}}, {1, {1}}});
  EXPECT_EQ(choose_way(ways, [&](size_t way) { timer.current = way; }, {cache, &timer, statistics}), 1u);
  EXPECT_THAT(kept_way(ways, cache), Optional(1u));
  EXPECT_THAT(kept_way({"layer", {"nearest"}}, cache), Optional(0u));
  EXPECT_EQ(kept_way({"layer", {"folded"}}, cache), std::nullopt);
}

class FusedPlan : public testing::Test {
 protected:
  FusedPlan() : cache_("") {}

  // The number of the chosen plan, "unfused" for none. Plans 0 and 1 are proposed.
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
                  .propose = [&] { return proposals(proposed_, made_); },
                  .begin_trials = {},
                  .run = [&](const Plan& plan) { return run(std::stoul(plan.number)); },
                  .find_fault = [&](const Plan& plan) -> std::optional<std::string> {
                    return plan.tag() == wrong_ ? std::optional<std::string>("wrong") : std::nullopt;
                  }},
        .run_unfused = [&] { return run(kUnfused); },
        .unmeasured = unmeasured};
    const std::optional<Plan> plan = choose_fused_plan(source, kKey, {cache_, timer, statistics_});
    return plan ? plan->number : "unfused";
  }

  size_t proposed_ = 2;
  int made_ = 0;
  std::string wrong_;
  PlanCache cache_;
  PlanStatistics statistics_;
};

TEST_F(FusedPlan, IsTakenWhenFasterThanTheSteps) {
  FakeTimer timer({{0, {3}}, {1, {1}}, {kUnfused, {2}}});
  EXPECT_EQ(choose(&timer), "1");
  EXPECT_EQ(choose(nullptr), "1") << "it was measured before";
}

TEST_F(FusedPlan, IsSkippedWhenNotFaster) {
  FakeTimer timer({{0, {3}}, {1, {2}}, {kUnfused, {2}}});
  EXPECT_EQ(choose(&timer), "unfused");
  EXPECT_EQ(choose(nullptr, Unmeasured::kFuse), "unfused") << "it was measured before";
  EXPECT_EQ(cache_.find(kKey), "steps") << "the tag in existing cache files";
}

TEST_F(FusedPlan, IsSkippedWhenWrong) {
  FakeTimer timer({{0, {3}}, {1, {1}}, {kUnfused, {2}}});
  wrong_ = "1";
  EXPECT_EQ(choose(&timer), "unfused");
  EXPECT_EQ(statistics_.refused, 1);
}

TEST_F(FusedPlan, UnmeasuredFollowsTheOption) {
  EXPECT_EQ(choose(nullptr, Unmeasured::kDoNotFuse), "unfused");
  EXPECT_EQ(made_, 0) << "no plan is built unnecessarily";
  EXPECT_EQ(choose(nullptr, Unmeasured::kFuse), "0");
  EXPECT_EQ(made_, 1);
  EXPECT_EQ(cache_.find(kKey), std::nullopt);
  wrong_ = "0";
  EXPECT_EQ(choose(nullptr, Unmeasured::kFuse), "1");
}

TEST_F(FusedPlan, FallsBackToTheStepsWithoutProposals) {
  proposed_ = 0;
  EXPECT_EQ(choose(nullptr, Unmeasured::kFuse), "unfused");
}

TEST_F(FusedPlan, IsRemeasuredWhenTheCachedPlanIsUnknown) {
  cache_.store(kKey, "of another version");
  FakeTimer timer({{0, {1}}, {1, {3}}, {kUnfused, {2}}});
  EXPECT_EQ(choose(&timer), "0");
}

}  // namespace
}  // namespace ddpm
