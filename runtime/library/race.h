// Choosing the fastest of several ways to compute the same, by measuring them; the clock is an interface,
// so that the choice is tested without a GPU.
#pragma once

#include <functional>
#include <optional>

namespace ddpm {

class WorkTimer {
 public:
  virtual ~WorkTimer() = default;
  // Of one run of what `work` gives to the GPU.
  virtual double seconds(const std::function<void()>& work) = 0;
};

// Measures candidates one after the other, so that each can be made when its turn comes.
class Race {
 public:
  explicit Race(WorkTimer& timer) : timer_(timer) {}

  // The median seconds of several runs; of a single one where that is far behind the best so far, which then
  // cannot win. None where run() returns false: the candidate could not run. It is run once unmeasured, which
  // loads its kernels.
  std::optional<double> measure(const std::function<bool()>& run);

 private:
  WorkTimer& timer_;
  std::optional<double> best_;
};

}  // namespace ddpm
