// Streams, events and memory of the emulator; the CUDA counterpart is device/cuda/cuda_runtime.cpp. Every
// call completes its work before it returns.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "device/emulator/stream_state.h"
#include "device/memory.h"
#include "device/stream.h"

namespace ddpm {
namespace {

using Clock = std::chrono::steady_clock;

Clock::time_point& time_of(EventHandle handle) { return *reinterpret_cast<Clock::time_point*>(handle); }

StreamHandle make_state(const emulator::Options& options) {
  return reinterpret_cast<StreamHandle>(new emulator::StreamState(options));
}

}  // namespace

Stream emulator::make_stream(const Options& options) { return Stream(make_state(options)); }

void emulator::submit(StreamView stream, std::function<void()> work, WorkKind kind) {
  StreamState& state = state_of(stream);
  if (state.capture == nullptr) {
    work();
  } else {
    state.capture->push_back({std::move(work), kind});
  }
}

Stream::Stream() : handle_(make_state({})) {}

Stream::~Stream() { delete reinterpret_cast<emulator::StreamState*>(handle_); }

void StreamView::synchronize() const {
  if (emulator::state_of(*this).capture != nullptr)
    throw emulator::EmulatorError("a stream was synchronized during its capture");
}

void StreamView::wait(const Event&) const {}

Event::Event(EventUse) : handle_(reinterpret_cast<EventHandle>(new Clock::time_point())) {}

Event::~Event() { delete reinterpret_cast<Clock::time_point*>(handle_); }

void Event::record(StreamView) { time_of(handle_) = Clock::now(); }

void Event::record_in_graph(StreamView stream) {
  if (emulator::state_of(stream).capture == nullptr)
    throw emulator::EmulatorError("record_in_graph was called on a stream that is not being captured");
  emulator::submit(
      stream, [handle = handle_] { time_of(handle) = Clock::now(); }, emulator::WorkKind::kEvent);
}

void Event::synchronize() const {}

float Event::milliseconds_since(const Event& start) const {
  return std::chrono::duration<float, std::milli>(time_of(handle_) - time_of(start.handle_)).count();
}

namespace detail {

// Each buffer is a separate allocation that ends at the buffer's last byte (the size is not rounded up to the
// alignment), so that AddressSanitizer catches accesses beyond it.
void* allocate_device(size_t bytes) {
  if (bytes == 0) return nullptr;
  void* pointer = nullptr;
  if (posix_memalign(&pointer, 256, bytes) != 0) throw std::bad_alloc();
  std::memset(pointer, 0xFF, bytes);
  return pointer;
}

void free_device(void* pointer) noexcept { std::free(pointer); }

void* allocate_pinned(size_t bytes) { return allocate_device(bytes); }

void free_pinned(void* pointer) noexcept { free_device(pointer); }

void copy_async(void* to, const void* from, size_t bytes, StreamView stream) {
  if (bytes > 0)
    emulator::submit(
        stream, [=] { std::memcpy(to, from, bytes); }, emulator::WorkKind::kCopy);
}

void fill_async(void* to, int byte, size_t bytes, StreamView stream) {
  if (bytes > 0)
    emulator::submit(
        stream, [=] { std::memset(to, byte, bytes); }, emulator::WorkKind::kMemset);
}

}  // namespace detail
}  // namespace ddpm
