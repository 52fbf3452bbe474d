// Choosing the fastest of several ways to compute the same, by measuring them; the clock is an interface, so
// that the choice is tested without a GPU. Depends on kernels/device/{memory,stream}.h.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>

#include "kernels/device/memory.h"
#include "kernels/device/stream.h"

namespace ddpm {

class WorkTimer {
 public:
  virtual ~WorkTimer() = default;
  // Of one run of what `work` gives to the GPU.
  virtual double seconds(const std::function<void()>& work) = 0;
};

// Measures with events on a stream; before each run the GPU's L2 cache is filled with something else, as the
// rest of a training step does.
class ColdTimer final : public WorkTimer {
 public:
  // The work must go to this stream. cache_bytes: the size of the L2 cache.
  ColdTimer(StreamView stream, size_t cache_bytes);
  double seconds(const std::function<void()>& work) override;

 private:
  StreamView stream_;
  DeviceBuffer<std::byte> flushed_;
  Event begin_, end_;
};

// The index of the candidate with the least median of several runs; the first of equals. run(i) returns
// whether candidate i could run; none where no one could. Each is run once unmeasured, which loads its
// kernels; one that is far behind the best is given up after one measurement.
std::optional<size_t> fastest(size_t candidates, const std::function<bool(size_t)>& run, WorkTimer& timer);

}  // namespace ddpm
