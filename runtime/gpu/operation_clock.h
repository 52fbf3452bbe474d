// How long each operation of a program takes where they run one by one, by events; in a graph it is
// runtime/gpu/graph_clock.h.
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
  // Waits for what was begun, and returns the sums of all runs.
  std::vector<OperationTime> times();

 private:
  struct Interval {
    Event begin, end;
    bool is_running = false;
  };
  // Adds a run that has begun to the sums: its events are needed for the next.
  void collect(size_t operation);

  std::vector<Interval> intervals_;
  std::vector<OperationTime> times_;
};

}  // namespace ddpm
