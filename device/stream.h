// Streams and events: owners and their views. Implemented twice: device/ cuda_runtime.cpp, and
// device/emulator/runtime.cpp for tests without a GPU; a program links one of them.
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

// A stream that somebody else owns. It cannot be made from 0: CUDA's legacy default stream synchronises with
// all others and cannot be captured in a graph.
class StreamView {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): a cudaStream_t is a stream
  StreamView(StreamHandle handle) : handle_(handle) {
    if (handle == nullptr) throw LogicError("the default stream is not used here: create a Stream");
  }
  StreamView(std::nullptr_t) = delete;
  StreamView(int) = delete;

  StreamHandle get() const { return handle_; }
  // Returns when all work given to the stream is done; throws what went wrong in it.
  void synchronize() const;
  // Work given to this stream from now on starts after `event`.
  void wait(const Event& event) const;

 private:
  StreamHandle handle_;
};

// Owns a stream that does not synchronise with the default stream.
class Stream {
 public:
  Stream();
  // Takes over a stream made elsewhere.
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
  kTiming,    // tells its time; who waits for it does so without sleep, to the microsecond
  kOrdering,  // tells that it was reached; who waits for it leaves the core to others
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
  // Makes the record a node of the graph that `stream` is captured into: each run of the graph records the
  // event anew when it gets there, and the event must outlive the graph. An error unless the stream is being
  // captured. What record() leaves in a capture, in contrast, has no time.
  void record_in_graph(StreamView stream);
  void synchronize() const;
  // Both are for timing, and must have been recorded and reached.
  float milliseconds_since(const Event& start) const;
  EventHandle get() const { return handle_; }

 private:
  EventHandle handle_;
};

}  // namespace ddpm
