// How one plan among those that a library proposes is chosen: the one kept in the cache, or else the fastest,
// measured, or without a clock the first. And whether a plan that does several steps at once is better than
// the steps. Depends on runtime/products/{fastest,plan_cache}.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/products/fastest.h"
#include "runtime/products/plan_cache.h"

namespace ddpm {

// Where plans of one problem come from. Plan is movable and has a tag(), by which it is restored.
template <typename Plan>
struct PlanSource {
  std::function<std::optional<Plan>(const std::string& tag)> restore;  // none: not a tag of this problem
  std::function<std::vector<Plan>()> propose;                          // the most promising first
  std::function<bool(const Plan&)> run;                                // false: the library refuses
};

// None where nothing is proposed, or nothing of it runs. timer may be null; what was not measured is not
// kept.
template <typename Plan>
std::optional<Plan> choose_plan(const PlanSource<Plan>& source, const std::string& key, PlanCache& cache,
                                WorkTimer* timer) {
  if (const std::optional<std::string> tag = cache.find(key))
    if (std::optional<Plan> plan = source.restore(*tag)) return plan;
  std::vector<Plan> plans = source.propose();
  if (plans.empty()) return std::nullopt;
  if (timer == nullptr) return std::move(plans.front());
  const std::optional<size_t> best = fastest(
      plans.size(), [&](size_t i) { return source.run(plans[i]); }, *timer);
  if (!best) return std::nullopt;
  cache.store(key, plans[*best].tag());
  return std::move(plans[*best]);
}

// What to do where nothing is measured.
enum class Unmeasured : uint8_t { kFuse, kDoNotFuse };

// A library's fused way to do what can also be done in steps: the plans for it, and the steps.
template <typename Plan>
struct FusedPlanSource {
  PlanSource<Plan> fused;
  std::function<bool()> run_steps;
  Unmeasured unmeasured;
};

// The fused plan that is faster than the steps; none where there is none.
template <typename Plan>
std::optional<Plan> choose_fused_plan(const FusedPlanSource<Plan>& source, const std::string& key,
                                      PlanCache& cache, WorkTimer* timer) {
  struct Choice {
    std::optional<Plan> plan{};  // none: the steps
    std::string tag() const { return plan ? plan->tag() : "steps"; }
  };
  const auto restore = [&](const std::string& tag) -> std::optional<Choice> {
    if (tag == Choice().tag()) return Choice();
    std::optional<Plan> plan = source.fused.restore(tag);
    return plan ? std::optional(Choice{std::move(plan)}) : std::nullopt;
  };
  const auto propose = [&] {
    std::vector<Choice> all(1);
    for (Plan& plan : source.fused.propose()) all.push_back({std::move(plan)});
    if (source.unmeasured == Unmeasured::kFuse) std::rotate(all.begin(), all.begin() + 1, all.end());
    return all;
  };
  const auto run = [&](const Choice& choice) {
    return choice.plan ? source.fused.run(*choice.plan) : source.run_steps();
  };
  std::optional<Choice> chosen = choose_plan<Choice>({restore, propose, run}, key, cache, timer);
  return chosen ? std::move(chosen->plan) : std::nullopt;
}

}  // namespace ddpm
