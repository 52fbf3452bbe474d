// Warp operations: what the lanes of a mask do together.
#include <bit>

#include "device/emulator/sanitizers.h"
#include "device/emulator/scheduler.h"
#include "support/error.h"

namespace ddpm::emulator {
namespace {

// The lane that a shuffle reads, by the rules of the CUDA programming guide; a lane outside the segment of
// `width` lanes means the lane's own value.
unsigned source_lane(WarpOperation operation, unsigned lane, int argument, int width) {
  const int own = static_cast<int>(lane);
  const int first = own / width * width;
  int source = own;
  switch (operation) {
    case WarpOperation::kShuffle:
      return static_cast<unsigned>(first + (argument & (width - 1)));
    case WarpOperation::kShuffleUp:
      source = own - argument;
      return static_cast<unsigned>(source < first ? own : source);
    case WarpOperation::kShuffleDown:
      source = own + argument;
      break;
    case WarpOperation::kShuffleXor:
      source = own ^ argument;
      break;
    default:
      break;
  }
  return static_cast<unsigned>(source >= first + width || source < 0 ? own : source);
}

bool is_shuffle(WarpOperation operation) {
  return operation == WarpOperation::kShuffle || operation == WarpOperation::kShuffleUp ||
         operation == WarpOperation::kShuffleDown || operation == WarpOperation::kShuffleXor;
}

bool agree(const Thread& a, const Thread& b) {
  return a.request.operation == b.request.operation && a.request.mask == b.request.mask &&
         same_place(a.site, b.site);
}

// The result of a vote, from the lanes whose predicate holds.
uint64_t vote(WarpOperation operation, unsigned mask, unsigned holding) {
  switch (operation) {
    case WarpOperation::kAny:
      return holding != 0;
    case WarpOperation::kAll:
      return holding == mask;
    default:
      return holding;
  }
}

}  // namespace

Thread* Scheduler::lane_of_same_warp(const Thread& thread, unsigned lane) {
  const size_t index = thread.warp() * 32 + lane;
  return index < threads_.size() ? &threads_[index] : nullptr;
}

uint64_t Scheduler::warp_operation(Thread& thread, const WarpRequest& request, const CallSite& site) {
  thread.request = request;
  thread.site = site;
  if ((request.mask & thread.lane_bit()) == 0)
    throw EmulatorError(fmt::format("{}: {} is called by lane {}, which is not in its mask {:#010x}",
                                    to_string(site), name_of(request.operation), thread.lane(),
                                    request.mask));
  if (is_shuffle(request.operation) && (request.mask >> request.source_lane & 1) == 0)
    throw EmulatorError(fmt::format("{}: {} reads from lane {}, which is not in its mask {:#010x}",
                                    to_string(site), name_of(request.operation), request.source_lane,
                                    request.mask));

  void* tag = nullptr;
  if (kThreadSanitizer && request.operation == WarpOperation::kSync) {
    // Not for shuffles and votes: by CUDA's rules they order no memory accesses.
    tag = sync_tags(thread, request.mask).current();
    release(tag);
  }
  if (is_last(thread)) {
    complete_warp_operation(thread);
  } else {
    warps_[thread.warp()].waiting |= thread.lane_bit();
    wait(thread, ThreadState::kAtWarpOperation, site);
  }
  if (tag != nullptr) acquire(tag);
  return thread.result;
}

// Whether all other lanes of the mask have reached the same operation. Throws if one of them waits for
// this lane at another operation, since then neither can go on. (One that waits only for other lanes may
// still come here.)
bool Scheduler::is_last(const Thread& thread) {
  const unsigned others = thread.request.mask & ~thread.lane_bit();
  if ((others & ~warps_[thread.warp()].waiting) != 0) return false;
  bool complete = true;
  for (unsigned rest = others; rest != 0; rest &= rest - 1) {
    const Thread& other = *lane_of_same_warp(thread, static_cast<unsigned>(std::countr_zero(rest)));
    if (agree(thread, other)) continue;
    complete = false;
    if ((other.request.mask & thread.lane_bit()) != 0)
      throw EmulatorError(fmt::format(
          "{}: {} with mask {:#010x} is divergent: lane {} waits for lane {} in {} with mask {:#010x} at {}",
          to_string(thread.site), name_of(thread.request.operation), thread.request.mask, other.lane(),
          thread.lane(), name_of(other.request.operation), other.request.mask, to_string(other.site)));
  }
  return complete;
}

void Scheduler::complete_warp_operation(Thread& last) {
  const unsigned mask = last.request.mask;
  const WarpOperation operation = last.request.operation;
  unsigned holding = 0;
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
    Thread& thread = *lane_of_same_warp(last, static_cast<unsigned>(std::countr_zero(rest)));
    if (thread.request.operand != 0) holding |= thread.lane_bit();
  }
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
    Thread& thread = *lane_of_same_warp(last, static_cast<unsigned>(std::countr_zero(rest)));
    thread.result = is_shuffle(operation)
                        ? lane_of_same_warp(last, thread.request.source_lane)->request.operand
                        : vote(operation, mask, holding);
    if (&thread != &last) make_ready(thread, ThreadState::kReady);
  }
  warps_[last.warp()].waiting &= ~mask;
  if (kThreadSanitizer && operation == WarpOperation::kSync) ++sync_tags(last, mask).generation;
}

SyncTags& Scheduler::sync_tags(const Thread& thread, unsigned mask) {
  for (MaskTags& entry : warps_[thread.warp()].mask_tags) {
    if (entry.mask == 0) entry.mask = mask;
    if (entry.mask == mask) return entry.tags;
  }
  throw EmulatorError(
      "__syncwarp is called with more than the 16 different masks per warp that the emulator supports");
}

WarpRequest make_request(const Thread& thread, WarpOperation operation, unsigned mask, uint64_t operand,
                         int argument, int width, const CallSite& site) {
  if (width < 1 || width > 32 || !std::has_single_bit(static_cast<unsigned>(width)))
    throw EmulatorError(fmt::format("{}: {} has width {}, which must be a power of two up to 32",
                                    to_string(site), name_of(operation), width));
  return {operation, mask, operand, source_lane(operation, thread.lane(), argument, width)};
}

}  // namespace ddpm::emulator
