#include "runtime/products/fastest.h"

#include <algorithm>
#include <array>

namespace ddpm {
namespace {

constexpr int kRuns = 5;  // odd, for the median
// Single runs of a kernel differ by a few percent; one that is half as slow again will not win.
constexpr double kFarBehind = 1.5;

double median_of_runs(double first, const std::function<void()>& work, WorkTimer& timer) {
  std::array<double, kRuns> seconds{first};
  std::generate(seconds.begin() + 1, seconds.end(), [&] { return timer.seconds(work); });
  std::nth_element(seconds.begin(), seconds.begin() + kRuns / 2, seconds.end());
  return seconds[kRuns / 2];
}

}  // namespace

ColdTimer::ColdTimer(StreamView stream, size_t cache_bytes)
    : stream_(stream), flushed_(2 * cache_bytes) {}  // twice: the cache's sets do not fill evenly

double ColdTimer::seconds(const std::function<void()>& work) {
  fill_bytes(flushed_.span(), 0, stream_);
  begin_.record(stream_);
  work();
  end_.record(stream_);
  end_.synchronize();
  return 1e-3 * static_cast<double>(end_.milliseconds_since(begin_));
}

std::optional<size_t> fastest(size_t candidates, const std::function<bool(size_t)>& run, WorkTimer& timer) {
  std::optional<size_t> best;
  double best_seconds = 0;
  for (size_t i = 0; i < candidates; ++i) {
    if (!run(i)) continue;
    const auto work = [&] { run(i); };
    const double first = timer.seconds(work);
    if (best && first > kFarBehind * best_seconds) continue;
    const double seconds = median_of_runs(first, work, timer);
    if (best && seconds >= best_seconds) continue;
    best = i;
    best_seconds = seconds;
  }
  return best;
}

}  // namespace ddpm
