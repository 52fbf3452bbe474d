// Bytes that are others in every step, read ahead by a thread of its own: a data set that the GPU's memory
// does not hold.
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

// The copies go into the stream that computes: a batch of images takes it a thousandth of a step's time, so
// that a second stream would gain nothing.
class Prefetcher {
 public:
  // Begins to read the bytes of steps first, first + 1, ... into pinned memory. Each copy fills `target`.
  Prefetcher(DeviceSpan<uint8_t> target, int64_t first, StepBytes fill);
  // Ends the thread. The stream must have passed the copies.
  ~Prefetcher() = default;
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next step's bytes are copied at this place in the stream. Waits for the reader where it is behind,
  // never for the device; throws what the reader threw.
  void copy_next(StreamView stream);

 private:
  struct Slot {
    explicit Slot(size_t size) : bytes(size) {}
    PinnedBuffer<uint8_t> bytes;
    Event copied{EventUse::kOrdering};
    std::exception_ptr error;  // of reading these bytes; nothing is read after it
  };

  Slot& slot(int64_t step) { return slots_[static_cast<size_t>(step - first_) % slots_.size()]; }
  void read_ahead(const std::stop_token& stop);
  bool read(int64_t step);

  DeviceSpan<uint8_t> target_;
  int64_t first_;
  StepBytes fill_;
  std::vector<Slot> slots_;

  std::mutex mutex_;  // of the two counters
  std::condition_variable_any moved_;
  int64_t read_end_, copied_end_;  // the first step that was not read, not copied
  std::jthread reader_;            // the last member: it ends before what it uses
};

}  // namespace ddpm
