// The emulator's interface for tests: streams that run kernels on the host in a chosen thread order, and the
// error that reports a broken rule. See docs/emulator.md.
#pragma once

#include <cstdint>
#include <functional>

#include "device/stream.h"
#include "support/error_types.h"

namespace ddpm::emulator {

// The order in which blocks, the warps of a block and the lanes of a warp take turns between two barriers. A
// correct kernel gives the same bits in every order.
enum class ThreadOrder { kForward, kReversed, kShuffled };

struct Options {
  ThreadOrder order = ThreadOrder::kForward;
  uint64_t seed = 1;  // of kShuffled
};

// A stream whose launches run in this order; a default-constructed Stream runs forward. The options travel in
// the stream because launchers already pass it to every launch, so no global is needed. A stream is used by
// one host thread at a time.
Stream make_stream(const Options& options);

// The type of a piece of work, as counted by GraphNodes.
enum class WorkKind { kKernel, kMemset, kCopy, kEvent, kOther };

// Runs work in stream order: before the call returns or, during a capture, each time the graph runs.
void submit(StreamView stream, std::function<void()> work, WorkKind kind = WorkKind::kKernel);

// A kernel or its caller broke one of CUDA's rules: what() names the rule, the source line and the threads.
class EmulatorError : public Error {
 public:
  using Error::Error;
};

}  // namespace ddpm::emulator
