// Owners of streams, events and memory: the parts shared by CUDA and the emulator.
#include <utility>

#include "device/memory.h"
#include "device/stream.h"
#include "support/error.h"

namespace ddpm {

Stream& Stream::operator=(Stream&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Event& Event::operator=(Event&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

void detail::check_span(bool holds) {
  if (!holds) throw LogicError("subspan or copy of a device span: offset or size out of range");
}

}  // namespace ddpm
