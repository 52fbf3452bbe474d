// Times operations that run one by one, with events; graphs have runtime/gpu/graph_clock.h.
#pragma once

#include <cstddef>
#include <vector>

#include "device/stream.h"
#include "runtime/executor.h"

namespace ddpm {

class OperationClock {
 public:
  explicit OperationClock(size_t operations);

  void begin(size_t operation, StreamView stream);
  void end(size_t operation, StreamView stream);
  // Waits for pending operations; returns the sums over all runs.
  std::vector<OperationTime> times();

 private:
  struct Interval {
    Event begin, end;
    bool is_running = false;
  };
  // Adds a pending run to the sums, so that its events can be reused.
  void collect(size_t operation);

  std::vector<Interval> intervals_;
  std::vector<OperationTime> times_;
};

}  // namespace ddpm
