// Runs the blocks of one launch: who runs next, who waits for whom, and the report when no thread can go on.
// __syncthreads is in scheduler.cpp, shuffles and votes with their checks in warp.cpp, reports in report.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <random>
#include <string>
#include <vector>

#include "device/emulator/built_ins.h"
#include "device/emulator/fiber.h"
#include "device/emulator/kernel_interface.h"
#include "device/emulator/stream_state.h"
#include "device/launch_config.h"

namespace ddpm::emulator {

class Scheduler;

enum class ThreadState { kNotStarted, kReady, kAtBarrier, kAtWarpOperation, kExited };

// A lane's arguments to a warp operation.
struct WarpRequest {
  WarpOperation operation;
  unsigned mask;
  uint64_t operand;
  unsigned source_lane;  // of a shuffle
};

struct Thread : ThreadBuiltIns {
  Scheduler* scheduler;
  size_t index;  // x fastest, as CUDA numbers them
  ThreadState state;
  Fiber fiber;
  CallSite site;  // where it waits
  WarpRequest request;
  uint64_t result;

  size_t warp() const { return index / 32; }
  unsigned lane() const { return static_cast<unsigned>(index % 32); }
  unsigned lane_bit() const { return 1u << lane(); }
};

// "Everything before this barrier", for ThreadSanitizer. Two tags alternate: a slow thread leaving one
// barrier must not see a fast one that has reached the next.
struct SyncTags {
  char tags[2];
  unsigned generation = 0;
  void* current() { return &tags[generation % 2]; }
};

// For reports: "file:line", and the CUDA name of an operation.
std::string to_string(const CallSite& site);
const char* name_of(WarpOperation operation);
bool same_place(const CallSite& a, const CallSite& b);

// Checks a shuffle's width and finds the lane that it reads.
WarpRequest make_request(const Thread& thread, WarpOperation operation, unsigned mask, uint64_t operand,
                         int argument, int width, const CallSite& site);

class Scheduler {
 public:
  Scheduler(StreamState& stream, StackPool& stacks, const LaunchConfig& config, KernelBody body);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void run();

  // On the fiber of `thread`.
  void block_barrier(Thread& thread, const CallSite& site);
  uint64_t warp_operation(Thread& thread, const WarpRequest& request, const CallSite& site);
  void* memory_fence_tag() { return &fence_tag_; }
  SharedMemory& shared_memory() { return stream_.shared_memory; }

 private:
  struct MaskTags {
    unsigned mask = 0;
    SyncTags tags;
  };
  struct Warp {
    size_t ready = 0;      // lanes that can run
    unsigned waiting = 0;  // lanes that wait at a warp operation, as a mask
    // For __syncwarp, by mask. In place: ThreadSanitizer would attribute memory allocated on a fiber
    // to that fiber.
    std::array<MaskTags, 16> mask_tags;
  };

  void run_block(size_t number);
  void run_until_all_wait();
  void run_warp(size_t warp);
  void resume(Thread& thread);
  void make_ready(Thread& thread, ThreadState state);
  static void thread_main(void* argument);
  static void wait(Thread& thread, ThreadState state, const CallSite& site);
  bool release_barrier();

  bool is_last(const Thread& thread);
  void complete_warp_operation(Thread& last);
  SyncTags& sync_tags(const Thread& thread, unsigned mask);
  // Null if the block has no such lane.
  Thread* lane_of_same_warp(const Thread& thread, unsigned lane);

  [[noreturn]] void report_stuck() const;
  [[noreturn]] void report_missing_lane(const Thread& waiting) const;
  [[noreturn]] void report_failure(const Thread& thread);

  StreamState& stream_;
  StackPool& stacks_;
  const LaunchConfig& config_;
  KernelBody body_;
  BlockBuiltIns block_{};
  size_t block_number_ = 0;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<size_t> warp_order_;
  std::vector<unsigned> lane_order_;
  std::minstd_rand random_;
  std::exception_ptr failure_;
  SyncTags barrier_tags_;
  char fence_tag_ = 0;
};

}  // namespace ddpm::emulator
