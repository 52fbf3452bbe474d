#include "runtime/gpu/prefetcher.h"

#include <utility>

namespace ddpm {
namespace {

// One slot is being copied while others are filled, so the reader may fall up to three steps behind.
constexpr int kSlots = 4;

}  // namespace

Prefetcher::Prefetcher(DeviceSpan<uint8_t> target, int64_t first, StepBytes fill)
    : target_(target), first_(first), fill_(std::move(fill)), read_end_(first), copied_end_(first) {
  slots_.reserve(kSlots);
  for (int i = 0; i < kSlots; ++i) slots_.emplace_back(target.size());
  reader_ = std::jthread([this](const std::stop_token& stop) { read_ahead(stop); });
}

void Prefetcher::read_ahead(const std::stop_token& stop) {
  for (int64_t step = first_;; ++step) {
    {
      std::unique_lock lock(mutex_);
      if (!moved_.wait(lock, stop, [&] { return step < copied_end_ + kSlots; })) return;
    }
    const bool goes_on = read(step);
    {
      const std::lock_guard lock(mutex_);
      read_end_ = step + 1;
    }
    moved_.notify_all();
    if (!goes_on) return;
  }
}

bool Prefetcher::read(int64_t step) {
  Slot& to = slot(step);
  try {
    if (step >= first_ + kSlots) to.copied.synchronize();
    fill_(step, to.bytes.span());
    return true;
  } catch (...) {
    to.error = std::current_exception();
    return false;
  }
}

void Prefetcher::copy_next(StreamView stream) {
  {
    std::unique_lock lock(mutex_);
    moved_.wait(lock, [&] { return copied_end_ < read_end_; });
  }
  Slot& from = slot(copied_end_);  // only this thread changes copied_end_
  if (from.error) std::rethrow_exception(from.error);
  copy_to_device<uint8_t>(from.bytes.span(), target_, stream);
  from.copied.record(stream);
  {
    const std::lock_guard lock(mutex_);
    ++copied_end_;
  }
  moved_.notify_all();
}

}  // namespace ddpm
