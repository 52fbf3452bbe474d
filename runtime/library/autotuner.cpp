#include "runtime/library/autotuner.h"

namespace ddpm {
namespace {

struct Way {
  size_t index;
  std::string way_name;
  const std::string& tag() const { return way_name; }
  const std::string& name() const { return way_name; }
};

std::optional<Way> way_of(const Ways& ways, const std::string& name) {
  const auto found = std::find(ways.names.begin(), ways.names.end(), name);
  if (found == ways.names.end()) return std::nullopt;
  return Way{static_cast<size_t>(found - ways.names.begin()), name};
}

}  // namespace

std::optional<size_t> kept_way(const Ways& ways, const PlanCache& cache) {
  const std::optional<std::string> name = cache.find(ways.key);
  const std::optional<Way> way = name ? way_of(ways, *name) : std::nullopt;
  return way ? std::optional(way->index) : std::nullopt;
}

size_t choose_way(const Ways& ways, const std::function<void(size_t)>& run, const PlanChoosing& by) {
  DDPM_CHECK(by.timer != nullptr && !ways.names.empty());
  const PlanSource<Way> source{.restore = [&](const std::string& name) { return way_of(ways, name); },
                               .propose = [&]() -> Proposals<Way> {
                                 return [&, next = size_t{0}]() mutable -> std::optional<Way> {
                                   if (next == ways.names.size()) return std::nullopt;
                                   const size_t index = next++;
                                   return Way{index, ways.names[index]};
                                 };
                               },
                               .begin_trials = {},
                               .run =
                                   [&](const Way& way) {
                                     run(way.index);
                                     return true;
                                   },
                               .find_fault = {}};
  const std::optional<Way> best = choose_plan(source, ways.key, by);
  return best ? best->index : 0;  // the first, if trials of all ways were refused
}

}  // namespace ddpm
