// The emulator as tests see it: streams that run kernels on the host in a chosen order of threads, and the
// error that a kernel's broken rule is reported with. See docs/emulator.md.
#pragma once

#include <cstdint>
#include <functional>

#include "device/stream.h"
#include "support/error_types.h"

namespace ddpm::emulator {

// The order in which blocks, the warps of a block and the lanes of a warp take their turns between two
// barriers. A correct kernel gives the same bits in each.
enum class ThreadOrder { kForward, kReversed, kShuffled };

struct Options {
  ThreadOrder order = ThreadOrder::kForward;
  uint64_t seed = 1;  // of kShuffled
};

// A stream whose launches run in this order; a default-constructed Stream runs forward. The options travel in
// the stream because it is the one thing that reaches every launch through the launchers; so nothing global
// is needed. A stream is used by one host thread at a time.
Stream make_stream(const Options& options);

// What a piece of work is, in GraphNodes.
enum class WorkKind { kKernel, kMemset, kCopy, kEvent, kOther };

// Work in stream order: done before the call returns, or, while the stream's work is captured in a graph,
// each time that graph runs.
void submit(StreamView stream, std::function<void()> work, WorkKind kind = WorkKind::kKernel);

// A kernel or its caller broke one of CUDA's rules: what() says which, where in the source, and by which
// threads.
class EmulatorError : public Error {
 public:
  using Error::Error;
};

}  // namespace ddpm::emulator
