// How one plan among those that a library proposes is chosen: the one kept in the cache, or else the fastest,
// measured, or without a clock the first. Depends on runtime/products/{fastest,plan_cache}.h.
#pragma once

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

}  // namespace ddpm
