#include "device/shared_memory_limits.h"

#include <algorithm>

namespace ddpm {

// raise() runs under the lock, so that two threads starting the same kernel do not race to set its limit.
size_t SharedMemoryLimits::at_least(size_t bytes, const void* kernel, int device,
                                    const std::function<size_t()>& raise) {
  const std::scoped_lock lock(mutex_);
  const auto known = limits_.find({kernel, device});
  if (known != limits_.end() && bytes <= known->second) return known->second;
  const size_t raised = raise();
  size_t& limit = limits_[{kernel, device}];
  return limit = std::max(limit, raised);
}

}  // namespace ddpm
