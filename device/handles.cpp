// What the owners of streams, events and memory do alike on CUDA and in the emulator.
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
  if (!holds) throw LogicError("a device span is cut beyond its end, or copied to one of another size");
}

}  // namespace ddpm
