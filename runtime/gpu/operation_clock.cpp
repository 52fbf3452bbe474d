#include "runtime/gpu/operation_clock.h"

namespace ddpm {

OperationClock::OperationClock(size_t operations) : intervals_(operations), times_(operations) {}

void OperationClock::begin(size_t operation, StreamView stream) {
  collect(operation);
  intervals_[operation].begin.record(stream);
}

void OperationClock::end(size_t operation, StreamView stream) {
  intervals_[operation].end.record(stream);
  intervals_[operation].is_running = true;
}

void OperationClock::collect(size_t operation) {
  Interval& interval = intervals_[operation];
  if (!interval.is_running) return;
  interval.end.synchronize();
  times_[operation].seconds += 1e-3 * static_cast<double>(interval.end.milliseconds_since(interval.begin));
  ++times_[operation].runs;
  interval.is_running = false;
}

std::vector<OperationTime> OperationClock::times() {
  for (size_t i = 0; i < intervals_.size(); ++i) collect(i);
  return times_;
}

}  // namespace ddpm
