// How long a graph takes, and each operation in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "device/graph.h"
#include "device/stream.h"
#include "runtime/executor.h"

namespace ddpm {

// The last durations of something that is done again and again. Adding one allocates nothing.
class RecentSeconds {
 public:
  RecentSeconds() { values_.reserve(kKept); }

  void add(double seconds);
  int64_t count() const { return count_; }  // of all that were added
  // Of those kept; the lower of two, 0 where there is none. A run that had to wait for the host (the first,
  // those behind a line of the log) is longer than the others, so a mean would say little.
  double median() const;

 private:
  static constexpr size_t kKept = 1024;
  std::vector<double> values_;
  int64_t count_ = 0;
};

// Times a sequence of operations that runs as a graph, in two forms that take turns: the plain graph as a
// whole, and the same with events around each operation, which cost time themselves. A run waits for
// the one before the last, whose events it takes over, so that the device always has the next one ready.
class GraphClock {
 public:
  // `launch` gives the work of one of the `operations`, which are in order, to `stream`; it is captured now.
  // Times of operations are added to `totals`, by index of operation, which must outlive the clock.
  GraphClock(std::vector<size_t> operations, const std::function<void(size_t)>& launch, StreamView stream,
             std::vector<OperationTime>& totals);

  void run(const ExecutableGraph& plain, StreamView stream);
  // Waits for what was run, and adds it.
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
  std::vector<Interval> intervals_;  // of the operations, by place in operations_
  Interval empty_;                   // of nothing
  ExecutableGraph timed_graph_;      // records the events above
  std::vector<OperationTime>& totals_;
  WholeGraph plain_, timed_;
  RecentSeconds sums_, empty_seconds_;
  bool timed_is_next_ = true;
};

}  // namespace ddpm
