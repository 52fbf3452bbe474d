#include "runtime/gpu/readback.h"

#include <utility>

namespace ddpm {
namespace {

// More than any caller keeps pending (kStepsAhead), so append() never waits.
constexpr size_t kSlots = 32;

}  // namespace

Readback::Readback(std::vector<DeviceSpan<const float>> sources) : sources_(std::move(sources)) {
  size_t size = 0;
  for (const DeviceSpan<const float>& source : sources_) size += source.size();
  slots_.reserve(kSlots);
  for (size_t i = 0; i < kSlots; ++i) slots_.emplace_back(size);
}

void Readback::append(StreamView stream) {
  if (under_way_.size() == slots_.size()) finish_oldest();
  Slot& slot = slots_[next_];
  size_t at = 0;
  for (const DeviceSpan<const float>& source : sources_) {
    copy_to_host<float>(source, slot.values.span().subspan(at, source.size()), stream);
    at += source.size();
  }
  slot.copied.record(stream);
  under_way_.push_back(next_);
  next_ = (next_ + 1) % slots_.size();
}

void Readback::finish_oldest() {
  const Slot& slot = slots_[under_way_.front()];
  slot.copied.synchronize();
  finished_.emplace_back(slot.values.data(), slot.values.data() + slot.values.size());
  under_way_.pop_front();
}

std::vector<std::vector<float>> Readback::take(size_t pending) {
  while (under_way_.size() > pending) finish_oldest();
  return std::exchange(finished_, {});
}

}  // namespace ddpm
