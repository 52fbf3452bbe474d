// The autotuner: chooses one of the plans that a library proposes. It takes the cached plan, or else the
// fastest measured one, or without a timer the first one; plans with wrong results are refused. It also
// decides whether a fused plan beats the unfused library ops. Templates over the kind of plan, so all is here;
// autotuner.cpp only chooses among Ways.
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

// Builds and returns the next plan on each call; none at the end.
template <typename Plan>
using Proposals = std::function<std::optional<Plan>()>;

// Where a problem's plans come from. Plan is movable and has a tag(), from which it is restored, and a name()
// for messages. begin_trials and find_fault may be empty.
template <typename Plan>
struct PlanSource {
  std::function<std::optional<Plan>(const std::string& tag)> restore;  // none: no valid tag for this problem
  std::function<Proposals<Plan>()> propose;                            // most promising first
  std::function<void()> begin_trials;                                  // called before trying plans
  std::function<bool(const Plan&)> run;                                // false: the library rejects it
  // What is wrong with the plan's results; none: they are right.
  std::function<std::optional<std::string>(const Plan&)> find_fault;
};

// How plans are chosen, and where the choice is kept and counted.
struct PlanChoosing {
  PlanCache& cache;
  WorkTimer* timer;  // null: do not measure
  PlanStatistics& statistics;
  PlanCheck check = PlanCheck::kRefuse;
};

namespace detail {

// cudaErrorMemoryAllocation: not the plan's fault.
constexpr int kCudaOutOfMemory = 2;

// The trials of one problem's plans.
template <typename Plan>
class PlanAttempts {
 public:
  PlanAttempts(const PlanSource<Plan>& source, const std::string& key, const PlanChoosing& by)
      : source_(source), key_(key), by_(by) {
    if (source_.begin_trials) source_.begin_trials();
    next_ = source_.propose();
  }

  // The next plan that was not refused before.
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

  // Whether the plan may be used; refuses it otherwise.
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
  // If a trial ends the process, the cache's note still tells the next one which plan it was. After
  // most CUDA errors nothing runs in this process any more, so the plan is refused, and a new
  // process must try the others.
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
  // Of equally fast plans, keep the most promising.
  std::stable_sort(measured.begin(), measured.end(),
                   [](const Measured& a, const Measured& b) { return a.seconds < b.seconds; });
  for (Measured& candidate : measured)
    if (attempts.is_right(candidate.plan)) return std::move(candidate.plan);
  return std::nullopt;
}

}  // namespace detail

// The best plan, or none if no proposed plan runs with right results. A cached plan was checked when it was
// chosen, and is restored without another check. A choice by measurement is cached. Without a timer, building
// stops at the first usable plan.
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

// The choice without a timer.
enum class Unmeasured : uint8_t { kFuse, kDoNotFuse };

// An optional fusion: the library's fused plans, and the unfused library ops as the alternative.
template <typename Plan>
struct FusedPlanSource {
  PlanSource<Plan> fused;
  std::function<bool()> run_unfused;
  Unmeasured unmeasured;
};

// The fused plan to use; none: the unfused ops are faster, or preferred without a timer.
template <typename Plan>
std::optional<Plan> choose_fused_plan(const FusedPlanSource<Plan>& source, const std::string& key,
                                      const PlanChoosing& by) {
  struct Choice {
    std::optional<Plan> plan{};  // none: unfused
    // "steps" is in existing cache files.
    std::string tag() const { return plan ? plan->tag() : "steps"; }
    std::string name() const { return plan ? plan->name() : "unfused library ops"; }
  };
  const auto restore = [&](const std::string& tag) -> std::optional<Choice> {
    if (tag == Choice().tag()) return Choice();
    std::optional<Plan> plan = source.fused.restore(tag);
    return plan ? std::optional(Choice{std::move(plan)}) : std::nullopt;
  };
  // Unfused comes first, or last if fusing is preferred without a timer.
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
  // The unfused plans were checked before.
  std::function<std::optional<std::string>(const Choice&)> find_fault;
  if (source.fused.find_fault)
    find_fault = [&](const Choice& choice) {
      return choice.plan ? source.fused.find_fault(*choice.plan) : std::nullopt;
    };
  std::optional<Choice> chosen =
      choose_plan<Choice>({restore, propose, source.fused.begin_trials, run, find_fault}, key, by);
  return chosen ? std::move(chosen->plan) : std::nullopt;
}

// Measures the ways and returns the index of the fastest, cached like a plan. run(i) submits way i to
// the GPU. Requires a timer.
size_t choose_way(const Ways& ways, const std::function<void(size_t)>& run, const PlanChoosing& by);
// The index of the cached way.
std::optional<size_t> kept_way(const Ways& ways, const PlanCache& cache);

}  // namespace ddpm
