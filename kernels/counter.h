// Step counters. Advancing one is a separate operation, so that all other operations of
// a step see the same value.
#pragma once

#include <cstdint>

#include "kernels/operation.h"

namespace ddpm {

// *counter += 1.
struct AdvanceCounterArgs {
  int64_t* counter;
};

namespace cuda {
void advance_counter(int64_t* counter, StreamView stream);  // elementwise.cu
}

struct AdvanceCounter {
  BufferId counter;

  static constexpr const char* kKind = "advance_counter";
  template <typename Memory>
  auto args(Memory&& m) const {
    return AdvanceCounterArgs{.counter = m.update("counter", counter)};
  }
  Cost cost(int /*element_bytes*/) const { return {}; }
  ErrorGrowth error_growth(BufferId /*result*/) const { return kExact; }
  template <typename T>
  void compute(const AdvanceCounterArgs& args) const {
    ++*args.counter;
  }
  template <typename T>
  void launch(const AdvanceCounterArgs& args, const LaunchOn& on) const {
    cuda::advance_counter(args.counter, on.stream);
  }
};

}  // namespace ddpm
