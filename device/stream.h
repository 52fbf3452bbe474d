// Streams and events: owners and views. Implemented twice: in device/cuda/cuda_runtime.cpp and, for tests
// without a GPU, in device/emulator/runtime.cpp. A program links one of them.
#pragma once

#include <cstddef>

#include "support/error_types.h"

// cudaStream_t and cudaEvent_t are pointers to these.
struct CUstream_st;
struct CUevent_st;

namespace ddpm {

using StreamHandle = CUstream_st*;
using EventHandle = CUevent_st*;

class Event;

// A non-owning view of a stream. It cannot be made from 0: CUDA's legacy default stream synchronizes with all
// others and cannot be captured in a graph.
class StreamView {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): a cudaStream_t is a stream
  StreamView(StreamHandle handle) : handle_(handle) {
    if (handle == nullptr)
      throw LogicError("StreamView: the default stream is not supported; create a Stream");
  }
  StreamView(std::nullptr_t) = delete;
  StreamView(int) = delete;

  StreamHandle get() const { return handle_; }
  // Waits for all work given to the stream and throws its errors.
  void synchronize() const;
  // Makes later work on this stream wait for `event`.
  void wait(const Event& event) const;

 private:
  StreamHandle handle_;
};

// Owns a stream that does not synchronize with the default stream.
class Stream {
 public:
  Stream();
  // Takes ownership of a stream made elsewhere.
  explicit Stream(StreamHandle handle) : handle_(handle) {}
  ~Stream();
  Stream(Stream&& other) noexcept : handle_(other.handle_) { other.handle_ = nullptr; }
  Stream& operator=(Stream&& other) noexcept;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  StreamView view() const { return StreamView(handle_); }
  // NOLINTNEXTLINE(google-explicit-constructor): an owner is used wherever a view is
  operator StreamView() const { return view(); }
  void synchronize() const { view().synchronize(); }

 private:
  StreamHandle handle_;
};

enum class EventUse : unsigned char {
  kTiming,    // has a timestamp; waiting spins, precise to the microsecond
  kOrdering,  // has no timestamp; waiting yields the core
};

// A point in a stream.
class Event {
 public:
  explicit Event(EventUse use = EventUse::kTiming);
  ~Event();
  Event(Event&& other) noexcept : handle_(other.handle_) { other.handle_ = nullptr; }
  Event& operator=(Event&& other) noexcept;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(StreamView stream);
  // Makes the record a node of the graph that `stream` is being captured into: each run of the graph records
  // the event when it gets there, so the event must outlive the graph. Throws unless the stream is being
  // captured. In contrast, record() during a capture leaves no time.
  void record_in_graph(StreamView stream);
  void synchronize() const;
  // Both events must be for timing, recorded and reached.
  float milliseconds_since(const Event& start) const;
  EventHandle get() const { return handle_; }

 private:
  EventHandle handle_;
};

}  // namespace ddpm
