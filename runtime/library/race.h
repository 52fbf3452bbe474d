// Finds the fastest of several candidates by measuring them. The timer is an interface, so tests need no GPU.
#pragma once

#include <functional>
#include <optional>

namespace ddpm {

class WorkTimer {
 public:
  virtual ~WorkTimer() = default;
  // Seconds of one run of the work that `work` submits to the GPU.
  virtual double seconds(const std::function<void()>& work) = 0;
};

// Measures one candidate after another, so that each can be built when it is needed.
class Race {
 public:
  explicit Race(WorkTimer& timer) : timer_(timer) {}

  // The median seconds of several runs, or a single run's if it is far behind the best so far and cannot win.
  // None if run() returns false. First runs the candidate once untimed, which loads its kernels.
  std::optional<double> measure(const std::function<bool()>& run);

 private:
  WorkTimer& timer_;
  std::optional<double> best_;
};

}  // namespace ddpm
