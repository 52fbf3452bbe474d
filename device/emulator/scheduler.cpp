#include "device/emulator/scheduler.h"

#include <algorithm>
#include <numeric>

#include "device/emulator/sanitizers.h"

namespace ddpm::emulator {

thread_local constinit ThreadBuiltIns* current_thread = nullptr;

namespace {

Index3 to_index(const Dim3& extent) {
  return {static_cast<unsigned>(extent.x), static_cast<unsigned>(extent.y), static_cast<unsigned>(extent.z)};
}

size_t volume(const Dim3& extent) { return static_cast<size_t>(extent.x * extent.y * extent.z); }

Index3 unravel(size_t number, const Index3& extent) {
  return {static_cast<unsigned>(number % extent.x), static_cast<unsigned>(number / extent.x % extent.y),
          static_cast<unsigned>(number / extent.x / extent.y)};
}

template <typename Number>
std::vector<Number> numbers_below(size_t count, ThreadOrder order) {
  std::vector<Number> numbers(count);
  std::iota(numbers.begin(), numbers.end(), Number{0});
  if (order == ThreadOrder::kReversed) std::reverse(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace

Scheduler::Scheduler(StreamState& stream, StackPool& stacks, const LaunchConfig& config, KernelBody body)
    : stream_(stream),
      stacks_(stacks),
      config_(config),
      body_(body),
      threads_(volume(config.block)),
      random_(stream.options.seed) {
  block_.block_extent = to_index(config.block);
  block_.grid_extent = to_index(config.grid);
  warps_.resize((threads_.size() + 31) / 32);
  warp_order_ = numbers_below<size_t>(warps_.size(), stream.options.order);
  lane_order_ = numbers_below<unsigned>(32, stream.options.order);
  for (size_t i = 0; i < threads_.size(); ++i) {
    Thread& thread = threads_[i];
    thread.thread_index = unravel(i, block_.block_extent);
    thread.block = &block_;
    thread.scheduler = this;
    thread.index = i;
  }
}

// Orders everything after the launch behind it, even a launch that failed and left threads waiting.
Scheduler::~Scheduler() {
  for (const Thread& thread : threads_)
    if (thread.state == ThreadState::kAtBarrier || thread.state == ThreadState::kAtWarpOperation ||
        thread.state == ThreadState::kReady)
      release_for(thread.fiber.stack()->tsan_fiber, &stream_.done_tag);
  acquire(&stream_.done_tag);
}

void Scheduler::run() {
  std::vector<size_t> blocks = numbers_below<size_t>(volume(config_.grid), stream_.options.order);
  if (stream_.options.order == ThreadOrder::kShuffled) std::shuffle(blocks.begin(), blocks.end(), random_);
  for (const size_t number : blocks) run_block(number);
}

void Scheduler::run_block(size_t number) {
  block_number_ = number;
  block_.block_index = unravel(number, block_.grid_extent);
  stream_.shared_memory.begin_block(config_.shared_bytes);
  for (Warp& warp : warps_) warp.ready = warp.waiting = 0;
  for (Thread& thread : threads_) make_ready(thread, ThreadState::kNotStarted);
  release(&stream_.launch_tag);
  do run_until_all_wait();
  while (release_barrier());
  stream_.shared_memory.check_guards();
}

void Scheduler::make_ready(Thread& thread, ThreadState state) {
  thread.state = state;
  ++warps_[thread.warp()].ready;
}

void Scheduler::run_until_all_wait() {
  if (stream_.options.order == ThreadOrder::kShuffled) {
    std::shuffle(warp_order_.begin(), warp_order_.end(), random_);
    std::shuffle(lane_order_.begin(), lane_order_.end(), random_);
  }
  for (const size_t warp : warp_order_) run_warp(warp);
}

void Scheduler::run_warp(size_t warp) {
  while (warps_[warp].ready > 0) {
    for (const unsigned lane : lane_order_) {
      const size_t index = warp * 32 + lane;
      if (index >= threads_.size()) continue;
      Thread& thread = threads_[index];
      if (thread.state == ThreadState::kNotStarted || thread.state == ThreadState::kReady) resume(thread);
    }
  }
}

void Scheduler::resume(Thread& thread) {
  --warps_[thread.warp()].ready;
  if (thread.state == ThreadState::kNotStarted)
    thread.fiber.start(stacks_.take(thread.index, block_number_), &Scheduler::thread_main, &thread);
  current_thread = &thread;
  thread.fiber.resume();
  current_thread = nullptr;
  if (failure_) report_failure(thread);
  if (thread.state == ThreadState::kExited) stacks_.give_back(thread.fiber.stack());
}

void Scheduler::thread_main(void* argument) {
  Thread& thread = *static_cast<Thread*>(argument);
  Scheduler& scheduler = *thread.scheduler;
  acquire(&scheduler.stream_.launch_tag);
  try {
    scheduler.body_();
  } catch (...) {
    scheduler.failure_ = std::current_exception();
  }
  release(scheduler.barrier_tags_.current());  // a barrier counts exited threads as arrived
  release(&scheduler.stream_.done_tag);
  thread.state = ThreadState::kExited;
}

void Scheduler::wait(Thread& thread, ThreadState state, const CallSite& site) {
  thread.state = state;
  thread.site = site;
  thread.fiber.suspend();
}

void Scheduler::block_barrier(Thread& thread, const CallSite& site) {
  void* tag = barrier_tags_.current();
  release(tag);
  wait(thread, ThreadState::kAtBarrier, site);
  acquire(tag);
}

// Called when no thread can run: returns true if all live threads wait at one barrier, which they now pass,
// and false if all have exited.
bool Scheduler::release_barrier() {
  const Thread* first = nullptr;
  for (const Thread& thread : threads_) {
    if (thread.state == ThreadState::kExited) continue;
    if (first == nullptr) first = &thread;
    if (thread.state != ThreadState::kAtBarrier || !same_place(thread.site, first->site)) report_stuck();
  }
  if (first == nullptr) return false;
  ++barrier_tags_.generation;
  for (Thread& thread : threads_)
    if (thread.state == ThreadState::kAtBarrier) make_ready(thread, ThreadState::kReady);
  return true;
}

}  // namespace ddpm::emulator
