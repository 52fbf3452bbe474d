// The values of a few buffers after each step, on their way to the host while the device goes on.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "device/memory.h"

namespace ddpm {

class Readback {
 public:
  // Each record holds the values of `sources`, one after another.
  explicit Readback(std::vector<DeviceSpan<const float>> sources);

  // Copies the sources as they are at this place in the stream. Waits where as many copies are under way as
  // there are places.
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
  std::deque<size_t> under_way_;  // indices of slots, oldest first
  std::vector<std::vector<float>> finished_;
  size_t next_ = 0;
};

}  // namespace ddpm
