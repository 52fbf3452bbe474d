// Error reports for kernels that break a rule.
#include <algorithm>
#include <bit>
#include <cstring>

#include "device/emulator/sanitizers.h"
#include "device/emulator/scheduler.h"
#include "support/error.h"

namespace ddpm::emulator {
namespace {

std::string parenthesized(const Index3& index) {
  return fmt::format("({}, {}, {})", index.x, index.y, index.z);
}

// What a thread is doing, to complete a sentence that names it.
std::string whereabouts(const Thread* thread) {
  if (thread == nullptr) return "the block does not have";
  switch (thread->state) {
    case ThreadState::kExited:
      return "has exited";
    case ThreadState::kAtBarrier:
      return "waits in __syncthreads at " + to_string(thread->site);
    default:
      return fmt::format("waits in {} with mask {:#010x} at {}", name_of(thread->request.operation),
                         thread->request.mask, to_string(thread->site));
  }
}

}  // namespace

bool same_place(const CallSite& a, const CallSite& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

std::string to_string(const CallSite& site) { return fmt::format("{}:{}", site.file, site.line); }

const char* name_of(WarpOperation operation) {
  switch (operation) {
    case WarpOperation::kSync:
      return "__syncwarp";
    case WarpOperation::kShuffle:
      return "__shfl_sync";
    case WarpOperation::kShuffleUp:
      return "__shfl_up_sync";
    case WarpOperation::kShuffleDown:
      return "__shfl_down_sync";
    case WarpOperation::kShuffleXor:
      return "__shfl_xor_sync";
    case WarpOperation::kBallot:
      return "__ballot_sync";
    case WarpOperation::kAny:
      return "__any_sync";
    case WarpOperation::kAll:
      return "__all_sync";
  }
  return "";
}

// No thread can run, and not because all wait at one barrier. A warp operation with missing lanes explains
// more than a barrier that waits for those lanes.
void Scheduler::report_stuck() const {
  const Thread* waiting = nullptr;
  for (const Thread& thread : threads_) {
    if (thread.state == ThreadState::kExited) continue;
    if (waiting == nullptr) waiting = &thread;
    if (thread.state == ThreadState::kAtWarpOperation) report_missing_lane(thread);
  }
  const auto elsewhere = std::find_if(threads_.begin(), threads_.end(), [&](const Thread& thread) {
    return thread.state == ThreadState::kAtBarrier && !same_place(thread.site, waiting->site);
  });
  throw EmulatorError(fmt::format(
      "{}: __syncthreads is divergent: thread {} of block {} waits here, thread {} waits at {}",
      to_string(waiting->site), parenthesized(waiting->thread_index), parenthesized(block_.block_index),
      parenthesized(elsewhere->thread_index), to_string(elsewhere->site)));
}

void Scheduler::report_missing_lane(const Thread& waiting) const {
  for (unsigned rest = waiting.request.mask; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    const size_t index = waiting.warp() * 32 + lane;
    const Thread* other = index < threads_.size() ? &threads_[index] : nullptr;
    const bool arrived = other != nullptr && other->state == ThreadState::kAtWarpOperation &&
                         other->request.mask == waiting.request.mask && same_place(other->site, waiting.site);
    if (arrived) continue;
    throw EmulatorError(fmt::format(
        "{}: {} with mask {:#010x} misses a lane: lane {} of warp {} in block {} waits for lane {}, which {}",
        to_string(waiting.site), name_of(waiting.request.operation), waiting.request.mask, waiting.lane(),
        waiting.warp(), parenthesized(block_.block_index), lane, whereabouts(other)));
  }
  throw EmulatorError(fmt::format("{}: deadlock: no thread can continue", to_string(waiting.site)));
}

// Adds the identity of the thread to its message.
void Scheduler::report_failure(const Thread& thread) {
  acquire(&stream_.done_tag);  // orders the read of the thread's message
  try {
    std::rethrow_exception(failure_);
  } catch (const EmulatorError& error) {
    throw EmulatorError(fmt::format("{} (thread {} of block {})", error.what(),
                                    parenthesized(thread.thread_index), parenthesized(block_.block_index)));
  }
}

}  // namespace ddpm::emulator
