// Prefetches each step's input into pinned memory on a background thread, for data sets that do
// not fit in the GPU's memory.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "device/memory.h"
#include "runtime/executor.h"

namespace ddpm {

// Copies run on the compute stream: a batch of images takes a thousandth of a step, so a second stream would
// not pay off.
class Prefetcher {
 public:
  // Starts reading the bytes of steps first, first + 1, ... Each step's bytes are copied to `target`.
  Prefetcher(DeviceSpan<uint8_t> target, int64_t first, StepBytes fill);
  // Ends the thread. The stream must have completed all copies.
  ~Prefetcher() = default;
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // Enqueues the copy of the next step's bytes. Waits for the reader if it is behind, never for the device.
  // Rethrows what `fill` threw.
  void copy_next(StreamView stream);

 private:
  struct Slot {
    explicit Slot(size_t size) : bytes(size) {}
    PinnedBuffer<uint8_t> bytes;
    Event copied{EventUse::kOrdering};
    std::exception_ptr error;  // from reading these bytes; the reader then stops
  };

  Slot& slot(int64_t step) { return slots_[static_cast<size_t>(step - first_) % slots_.size()]; }
  void read_ahead(const std::stop_token& stop);
  bool read(int64_t step);

  DeviceSpan<uint8_t> target_;
  int64_t first_;
  StepBytes fill_;
  std::vector<Slot> slots_;

  std::mutex mutex_;  // guards the two counters
  std::condition_variable_any moved_;
  int64_t read_end_, copied_end_;  // the first step that is not read, or not copied, yet
  std::jthread reader_;            // last: it must end before the members that it uses
};

}  // namespace ddpm
