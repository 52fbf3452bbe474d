// A timer that returns the times chosen by a test.
#pragma once

#include <map>
#include <vector>

#include "runtime/library/race.h"

namespace ddpm {

// The work sets `current` to its candidate; the candidate's runs take the given times, the
// last one repeatedly.
class FakeTimer final : public WorkTimer {
 public:
  explicit FakeTimer(std::map<size_t, std::vector<double>> times) : times_(std::move(times)) {}

  double seconds(const std::function<void()>& work) override {
    work();
    const std::vector<double>& times = times_.at(current);
    const size_t run = static_cast<size_t>(runs[current]++);
    return run < times.size() ? times[run] : times.back();
  }

  size_t current = 0;
  std::map<size_t, int> runs;

 private:
  std::map<size_t, std::vector<double>> times_;
};

}  // namespace ddpm
