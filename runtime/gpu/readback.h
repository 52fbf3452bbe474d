// Copies a few buffers to the host after each step, while the device continues.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "device/memory.h"

namespace ddpm {

class Readback {
 public:
  // Each record concatenates the values of `sources`.
  explicit Readback(std::vector<DeviceSpan<const float>> sources);

  // Enqueues a copy of the sources. If all slots are pending, first waits for the oldest.
  void append(StreamView stream);
  // See Executor::take_records.
  std::vector<std::vector<float>> take(size_t pending);

 private:
  struct Slot {
    explicit Slot(size_t size) : values(size) {}
    PinnedBuffer<float> values;
    Event copied{EventUse::kOrdering};
  };

  void finish_oldest();

  std::vector<DeviceSpan<const float>> sources_;
  std::vector<Slot> slots_;
  std::deque<size_t> under_way_;  // slot indices, oldest first
  std::vector<std::vector<float>> finished_;
  size_t next_ = 0;
};

}  // namespace ddpm
