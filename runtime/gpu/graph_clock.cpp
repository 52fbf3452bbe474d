#include "runtime/gpu/graph_clock.h"

#include <algorithm>
#include <utility>

namespace ddpm {

void RecentSeconds::add(double seconds) {
  if (values_.size() < kKept)
    values_.push_back(seconds);
  else
    values_[static_cast<size_t>(count_) % kKept] = seconds;
  ++count_;
}

double RecentSeconds::median() const {
  if (values_.empty()) return 0;
  std::vector<double> sorted = values_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

GraphClock::GraphClock(std::vector<size_t> operations, const std::function<void(size_t)>& launch,
                       StreamView stream, std::vector<OperationTime>& totals)
    : operations_(std::move(operations)), intervals_(operations_.size()), totals_(totals) {
  GraphCapture capture(stream);
  for (size_t i = 0; i < operations_.size(); ++i) {
    intervals_[i].begin.record_in_graph(stream);
    launch(operations_[i]);
    intervals_[i].end.record_in_graph(stream);
  }
  // After other work, like the operations' intervals.
  empty_.begin.record_in_graph(stream);
  empty_.end.record_in_graph(stream);
  timed_graph_.update(std::move(capture).finish());
}

void GraphClock::run(const ExecutableGraph& plain, StreamView stream) {
  if (timed_is_next_) {
    collect_timed();
    run(timed_graph_, timed_, stream);
  } else {
    collect_plain();
    run(plain, plain_, stream);
  }
  timed_is_next_ = !timed_is_next_;
}

void GraphClock::run(const ExecutableGraph& graph, WholeGraph& whole, StreamView stream) {
  whole.interval.begin.record(stream);
  graph.launch(stream);
  whole.interval.end.record(stream);
  whole.is_running = true;
}

bool GraphClock::collect(WholeGraph& whole) {
  if (!whole.is_running) return false;
  whole.interval.end.synchronize();
  whole.seconds.add(whole.interval.seconds());
  whole.is_running = false;
  return true;
}

void GraphClock::collect_timed() {
  if (!collect(timed_)) return;
  double sum = 0;
  for (size_t i = 0; i < operations_.size(); ++i) {
    const double seconds = intervals_[i].seconds();
    totals_[operations_[i]].seconds += seconds;
    ++totals_[operations_[i]].runs;
    sum += seconds;
  }
  sums_.add(sum);
  empty_seconds_.add(empty_.seconds());
}

void GraphClock::collect() {
  collect_timed();
  collect_plain();
}

GraphTime GraphClock::time() const {
  return {.phases = {},
          .runs = plain_.seconds.count(),
          .seconds = plain_.seconds.median(),
          .timed_runs = timed_.seconds.count(),
          .timed_seconds = timed_.seconds.median(),
          .operations = static_cast<int64_t>(operations_.size()),
          .operations_seconds = sums_.median(),
          .empty_seconds = empty_seconds_.median()};
}

}  // namespace ddpm
