#include "runtime/library/race.h"

#include <algorithm>
#include <array>

namespace ddpm {
namespace {

constexpr int kRuns = 5;  // odd, for the median
// Single runs differ by a few percent; a candidate that takes 1.5 times the best will not win.
constexpr double kFarBehind = 1.5;

double median_of_runs(double first, const std::function<void()>& work, WorkTimer& timer) {
  std::array<double, kRuns> seconds{first};
  std::generate(seconds.begin() + 1, seconds.end(), [&] { return timer.seconds(work); });
  std::nth_element(seconds.begin(), seconds.begin() + kRuns / 2, seconds.end());
  return seconds[kRuns / 2];
}

}  // namespace

std::optional<double> Race::measure(const std::function<bool()>& run) {
  if (!run()) return std::nullopt;
  const auto work = [&] { run(); };
  const double first = timer_.seconds(work);
  if (best_ && first > kFarBehind * *best_) return first;
  const double seconds = median_of_runs(first, work, timer_);
  best_ = std::min(best_.value_or(seconds), seconds);
  return seconds;
}

}  // namespace ddpm
