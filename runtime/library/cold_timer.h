// The timer that plans are chosen by on a GPU.
#pragma once

#include <cstddef>

#include "device/memory.h"
#include "device/stream.h"
#include "runtime/library/race.h"

namespace ddpm {

// Times work with events on a stream. Before each run it evicts the GPU's L2 cache, as the
// rest of a training step does.
class ColdTimer final : public WorkTimer {
 public:
  // The work must be submitted to this stream. cache_bytes: the size of the L2 cache.
  ColdTimer(StreamView stream, size_t cache_bytes);
  double seconds(const std::function<void()>& work) override;

 private:
  StreamView stream_;
  DeviceBuffer<float> zeros_;
  Event begin_, end_;
};

}  // namespace ddpm
