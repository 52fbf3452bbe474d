// How one plan among those that a library proposes is chosen: the one kept in the cache, or else the
// fastest, measured, or without a clock the first; and only one whose results are right. And whether a
// plan that does several steps at once is better than the steps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device/cuda_error.h"
#include "runtime/gpu_options.h"
#include "runtime/library/plan_cache.h"
#include "runtime/library/plan_statistics.h"
#include "runtime/library/race.h"
#include "runtime/library/vendor_library.h"
#include "support/error.h"

namespace ddpm {

// The next plan, made when it is asked for; none at the end.
template <typename Plan>
using Proposals = std::function<std::optional<Plan>()>;

// Where plans of one problem come from. Plan is movable and has a tag(), by which it is restored, and a
// name(), for the user. Functions that are not needed may be empty.
template <typename Plan>
struct PlanSource {
  std::function<std::optional<Plan>(const std::string& tag)> restore;  // none: not a tag of this problem
  std::function<Proposals<Plan>()> propose;                            // the most promising first
  std::function<void()> begin_trials;                                  // before any plan is tried
  std::function<bool(const Plan&)> run;                                // false: the library refuses
  // What is wrong with the plan's results; none: they are right.
  std::function<std::optional<std::string>(const Plan&)> find_fault;
};

// What plans are chosen by.
struct PlanChoosing {
  PlanCache& cache;
  WorkTimer* timer;  // null: nothing is measured
  PlanStatistics& statistics;
  PlanCheck check = PlanCheck::kRefuse;
};

namespace detail {

// cudaErrorMemoryAllocation, which is no plan's fault.
constexpr int kCudaOutOfMemory = 2;

// Plans of one problem being tried.
template <typename Plan>
class PlanAttempts {
 public:
  PlanAttempts(const PlanSource<Plan>& source, const std::string& key, const PlanChoosing& by)
      : source_(source), key_(key), by_(by) {
    if (source_.begin_trials) source_.begin_trials();
    next_ = source_.propose();
  }

  // The next that was not refused earlier.
  std::optional<Plan> next() {
    const Stopwatch watch(by_.statistics.proposing_seconds);
    while (std::optional<Plan> plan = next_())
      if (!by_.cache.is_refused(key_, plan->tag())) return plan;
    return std::nullopt;
  }

  std::optional<double> seconds(const Plan& plan, Race& race) {
    const Stopwatch watch(by_.statistics.measuring_seconds);
    return attempt(plan, [&] { return race.measure([&] { return source_.run(plan); }); });
  }

  // Whether it may be taken; refuses it where not.
  bool is_right(const Plan& plan) {
    if (!source_.find_fault || by_.check == PlanCheck::kOff) return true;
    const Stopwatch watch(by_.statistics.checking_seconds);
    const std::optional<std::string> fault = attempt(plan, [&] { return source_.find_fault(plan); });
    if (!fault) return true;
    if (by_.check == PlanCheck::kWarn) {
      by_.cache.warn_about({key_, plan.tag(), plan.name()}, *fault);
      return true;
    }
    ++by_.statistics.refused;
    by_.cache.refuse({key_, plan.tag(), plan.name()}, *fault);
    return false;
  }

 private:
  // Whatever becomes of the process, the cache knows what was tried. After most of CUDA's errors nothing runs
  // in this process any more, so that the next plan can only be tried by the next one.
  template <typename Work>
  auto attempt(const Plan& plan, const Work& work) {
    const PlanId id{key_, plan.tag(), plan.name()};
    const PlanCache::Trial trial(by_.cache, id);
    try {
      return work();
    } catch (const CudaError& error) {
      if (error.code() == kCudaOutOfMemory) throw;
      by_.cache.refuse(id, error.what());
      by_.cache.save();
      throw CudaError(fmt::format("{}; {} failed while being tried for {}: {}", error.what(), id.name, key_,
                                  by_.cache.advice_after_failure()),
                      error.code());
    }
  }

  const PlanSource<Plan>& source_;
  const std::string& key_;
  const PlanChoosing& by_;
  Proposals<Plan> next_;
};

template <typename Plan>
std::optional<Plan> first_plan(PlanAttempts<Plan> attempts) {
  while (std::optional<Plan> plan = attempts.next())
    if (attempts.is_right(*plan)) return plan;
  return std::nullopt;
}

template <typename Plan>
std::optional<Plan> fastest_plan(PlanAttempts<Plan> attempts, WorkTimer& timer) {
  struct Measured {
    double seconds;
    Plan plan;
  };
  std::vector<Measured> measured;
  Race race(timer);
  while (std::optional<Plan> plan = attempts.next())
    if (const std::optional<double> seconds = attempts.seconds(*plan, race))
      measured.push_back({*seconds, *std::move(plan)});
  // The first of equals is the more promising one.
  std::stable_sort(measured.begin(), measured.end(),
                   [](const Measured& a, const Measured& b) { return a.seconds < b.seconds; });
  for (Measured& candidate : measured)
    if (attempts.is_right(candidate.plan)) return std::move(candidate.plan);
  return std::nullopt;
}

}  // namespace detail

// None where nothing is proposed, or nothing of it runs and is right. What was not measured is not kept; what
// is restored was found right when it was chosen. Without a clock no more plans are made than it takes to
// find one.
template <typename Plan>
std::optional<Plan> choose_plan(const PlanSource<Plan>& source, const std::string& key,
                                const PlanChoosing& by) {
  ++by.statistics.problems;
  if (const std::optional<std::string> tag = by.cache.find(key)) {
    if (std::optional<Plan> plan = source.restore(*tag)) return plan;
    ++by.statistics.unusable;
  }
  detail::PlanAttempts<Plan> attempts(source, key, by);
  if (by.timer == nullptr) return detail::first_plan(std::move(attempts));
  std::optional<Plan> best = detail::fastest_plan(std::move(attempts), *by.timer);
  if (best) by.cache.store(key, best->tag());
  return best;
}

// What to do where nothing is measured.
enum class Unmeasured : uint8_t { kFuse, kDoNotFuse };

// A library's fused way to do what can also be done in steps: the plans for it, and the steps.
template <typename Plan>
struct FusedPlanSource {
  PlanSource<Plan> fused;
  std::function<bool()> run_unfused;
  Unmeasured unmeasured;
};

// The fused plan that is faster than the steps; none where there is none.
template <typename Plan>
std::optional<Plan> choose_fused_plan(const FusedPlanSource<Plan>& source, const std::string& key,
                                      const PlanChoosing& by) {
  struct Choice {
    std::optional<Plan> plan{};  // none: the steps
    std::string tag() const { return plan ? plan->tag() : "steps"; }
    std::string name() const { return plan ? plan->name() : "unfused library ops"; }
  };
  const auto restore = [&](const std::string& tag) -> std::optional<Choice> {
    if (tag == Choice().tag()) return Choice();
    std::optional<Plan> plan = source.fused.restore(tag);
    return plan ? std::optional(Choice{std::move(plan)}) : std::nullopt;
  };
  // The steps come first, or last where fusing is preferred unmeasured.
  const auto propose = [&]() -> Proposals<Choice> {
    const bool unfused_first = by.timer != nullptr || source.unmeasured == Unmeasured::kDoNotFuse;
    auto fused = std::make_shared<Proposals<Plan>>();
    return [&, fused, unfused_first, had_unfused = false, at_end = false]() mutable -> std::optional<Choice> {
      if (unfused_first && !std::exchange(had_unfused, true)) return Choice();
      if (!*fused) *fused = source.fused.propose();
      if (!at_end) {
        if (std::optional<Plan> plan = (*fused)()) return Choice{std::move(plan)};
        at_end = true;
      }
      if (!std::exchange(had_unfused, true)) return Choice();
      return std::nullopt;
    };
  };
  const auto run = [&](const Choice& choice) {
    return choice.plan ? source.fused.run(*choice.plan) : source.run_unfused();
  };
  std::function<std::optional<std::string>(const Choice&)> find_fault;  // of steps: they were looked at
  if (source.fused.find_fault)
    find_fault = [&](const Choice& choice) {
      return choice.plan ? source.fused.find_fault(*choice.plan) : std::nullopt;
    };
  std::optional<Choice> chosen =
      choose_plan<Choice>({restore, propose, source.fused.begin_trials, run, find_fault}, key, by);
  return chosen ? std::move(chosen->plan) : std::nullopt;
}

// The index of the fastest, kept in the cache like a plan. run(i) gives way i to the GPU. Needs a clock.
size_t choose_way(const Ways& ways, const std::function<void(size_t)>& run, const PlanChoosing& by);
// The one that the cache holds.
std::optional<size_t> kept_way(const Ways& ways, const PlanCache& cache);

}  // namespace ddpm
