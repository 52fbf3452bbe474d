// How a kernel is timed on a GPU: CUDA events around one run, from a cold L2 cache, and its ideal bytes held
// against the copy bandwidth that the same program measures. Depends on Google Benchmark, kernels/cost.h and
// kernels/device/.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cost.h"
#include "kernels/device/memory.h"
#include "kernels/device/stream.h"

namespace ddpm {

class CudaBenchmark {
 public:
  CudaBenchmark();

  // The body of a benchmark with manual time: kWarmUps runs, then one an iteration. Reports bytes and
  // operations a second by `cost`, and the share of the copy bandwidth. function(stream) gives its work to
  // the stream.
  template <typename Function>
  static void run(benchmark::State& state, const Cost& cost, Function function) {
    CudaBenchmark timer;
    for (int i = 0; i < kWarmUps; ++i) timer.milliseconds(function);
    for (auto _ : state) state.SetIterationTime(1e-3 * static_cast<double>(timer.milliseconds(function)));
    report(state, cost);
  }

  // Bytes read and written a second by a copy of 1 GiB on the device: the median of 20, measured once.
  static double copy_bandwidth();

 private:
  static constexpr int kWarmUps = 3;  // the first run loads the kernel

  // What the function's work takes on the device, once the flush of the cache before it has ended.
  template <typename Function>
  float milliseconds(const Function& function) {
    flush_cache();
    begin_.record(stream_);
    function(stream_.view());
    end_.record(stream_);
    end_.synchronize();
    return end_.milliseconds_since(begin_);
  }

  void flush_cache();
  static void report(benchmark::State& state, const Cost& cost);

  Stream stream_;
  Event begin_, end_;
  DeviceBuffer<std::byte> flushed_;
};

// Uniform in (-1, 1), the same in every run. T is float or BFloat16.
template <typename T>
DeviceBuffer<T> random_buffer(int64_t count);

}  // namespace ddpm
