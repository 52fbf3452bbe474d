// Times a graph and each operation in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "device/graph.h"
#include "device/stream.h"
#include "runtime/executor.h"

namespace ddpm {

// Recent durations of something repeated. Adding one does not allocate.
class RecentSeconds {
 public:
  RecentSeconds() { values_.reserve(kKept); }

  void add(double seconds);
  int64_t count() const { return count_; }  // of all durations added
  // The lower median of those kept; 0 if there are none. A mean would say little: runs that wait for the host
  // (the first, and those after a log line) take longer.
  double median() const;

 private:
  static constexpr size_t kKept = 1024;
  std::vector<double> values_;
  int64_t count_ = 0;
};

// Times a sequence of operations that runs as a graph. Two forms take turns: the plain graph, timed as a
// whole, and a graph with events around each operation, which take time themselves. A run waits for the one
// before the previous run, whose events it reuses, so the device always has the next run queued.
class GraphClock {
 public:
  // Captures `operations`, in order: launch(i) submits operation i to `stream`. Adds the operations' times to
  // `totals`, indexed like the program's operations; it must outlive the clock.
  GraphClock(std::vector<size_t> operations, const std::function<void(size_t)>& launch, StreamView stream,
             std::vector<OperationTime>& totals);

  void run(const ExecutableGraph& plain, StreamView stream);
  // Waits for pending runs and adds their times.
  void collect();
  // All but `phases` and `nodes`.
  GraphTime time() const;

 private:
  struct Interval {
    double seconds() const { return 1e-3 * static_cast<double>(end.milliseconds_since(begin)); }
    Event begin, end;
  };
  struct WholeGraph {
    Interval interval;
    bool is_running = false;
    RecentSeconds seconds;
  };

  void run(const ExecutableGraph& graph, WholeGraph& whole, StreamView stream);
  bool collect(WholeGraph& whole);
  void collect_plain() { collect(plain_); }
  void collect_timed();

  std::vector<size_t> operations_;
  std::vector<Interval> intervals_;  // by index in operations_
  Interval empty_;                   // around nothing
  ExecutableGraph timed_graph_;      // records the events above
  std::vector<OperationTime>& totals_;
  WholeGraph plain_, timed_;
  RecentSeconds sums_, empty_seconds_;
  bool timed_is_next_ = true;
};

}  // namespace ddpm
