// Produces items on several threads and delivers them in order.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace ddpm {

// Has its own threads rather than using parallel_for: producing an item may throw and takes uneven time, and
// the consumer writes one item while the next are produced. At most kItemsPerThread items per thread wait at
// any time, so memory is bounded.
template <typename Item>
class OrderedWorkers {
 public:
  using Produce = std::function<Item(int64_t)>;

  // Produces items 0 to count - 1. `make_produce` is called once per thread; only that thread uses the
  // result, which may therefore own a file handle or a decoder.
  OrderedWorkers(int64_t count, int threads, std::function<Produce()> make_produce)
      : count_(count),
        window_(kItemsPerThread * std::max(threads, 1)),
        make_produce_(std::move(make_produce)) {
    slots_.resize(window_);
    for (int k = 0; k < std::max(threads, 1); ++k) threads_.emplace_back([this] { work(); });
  }

  // Busy threads finish their current item and stop.
  ~OrderedWorkers() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    room_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  OrderedWorkers(const OrderedWorkers&) = delete;
  OrderedWorkers& operator=(const OrderedWorkers&) = delete;

  // The next item in order; call it `count` times, from one thread. Rethrows what producing this item threw:
  // the first bad item is reported, whatever the number of threads.
  Item next() {
    std::unique_lock lock(mutex_);
    std::optional<Result>& slot = slots_[taken_ % window_];
    made_.wait(lock, [&] { return slot.has_value() || start_failure_; });
    if (!slot.has_value()) std::rethrow_exception(start_failure_);
    Result result = std::move(*slot);
    slot.reset();
    ++taken_;
    lock.unlock();
    room_.notify_one();
    if (result.failure) std::rethrow_exception(result.failure);
    return std::move(result.item);
  }

 private:
  static constexpr int kItemsPerThread = 32;

  struct Result {
    Item item{};
    std::exception_ptr failure;
  };

  void work() {
    Produce produce;
    try {
      produce = make_produce_();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      start_failure_ = std::current_exception();
      made_.notify_one();
      return;
    }
    std::unique_lock lock(mutex_);
    while (true) {
      room_.wait(lock, [this] { return stopped_ || started_ >= count_ || started_ < taken_ + window_; });
      if (stopped_ || started_ >= count_) return;
      const int64_t index = started_++;
      lock.unlock();
      Result result;
      try {
        result.item = produce(index);
      } catch (...) {
        result.failure = std::current_exception();
      }
      lock.lock();
      slots_[index % window_] = std::move(result);
      if (index == taken_) made_.notify_one();
    }
  }

  const int64_t count_;
  const int64_t window_;
  const std::function<Produce()> make_produce_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable made_;
  int64_t started_ = 0;
  int64_t taken_ = 0;
  bool stopped_ = false;
  std::exception_ptr start_failure_;
  std::vector<std::optional<Result>> slots_;
  std::vector<std::thread> threads_;
};

}  // namespace ddpm
