// The state of an emulated stream.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "device/emulator/emulator.h"
#include "device/emulator/shared_memory.h"

namespace ddpm::emulator {

// One unit of a graph's work.
struct RecordedStep {
  std::function<void()> run;
  WorkKind kind;
};
using RecordedWork = std::vector<RecordedStep>;

struct StreamState {
  explicit StreamState(const Options& chosen) : options(chosen) {}

  Options options;
  SharedMemory shared_memory;
  std::unique_ptr<RecordedWork> capture;  // while the stream's work is captured
  // For ThreadSanitizer: the host before each launch, and all threads at its end.
  char launch_tag = 0;
  char done_tag = 0;
};

// CUDA's opaque stream type belongs to the runtime, and here the runtime is the emulator.
inline StreamState& state_of(StreamView stream) { return *reinterpret_cast<StreamState*>(stream.get()); }

}  // namespace ddpm::emulator
