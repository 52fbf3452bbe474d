// Times work on a GPU with events around one run from a cold L2 cache, and compares its ideal traffic with
// the copy bandwidth measured by the same program. The GPU may be the emulated one (measured_gpu.h).
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <vector>

#include "bench/kernels/measured_gpu.h"
#include "device/memory.h"
#include "device/stream.h"
#include "kernels/cost.h"
#include "kernels/cuda/kernels.h"

namespace ddpm {

class GpuBenchmark {
 public:
  GpuBenchmark();

  // The settings of every benchmark here. The number of iterations is fixed: by default Google Benchmark
  // would run a kernel of a few microseconds a hundred thousand times, each after a much longer cache flush.
  static void settings(benchmark::internal::Benchmark* benchmark) {
    benchmark->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(measured_sizes().iterations);
  }

  // The body of a benchmark with manual time: a few warm-up runs, then one run per iteration. Reports bytes/s
  // and FLOP/s according to `cost`, and the share of the copy bandwidth. function(stream) enqueues the work.
  // Exceptions become this benchmark's error; the others still run.
  template <typename Function>
  static void run(benchmark::State& state, const Cost& cost, Function function) {
    try {
      GpuBenchmark timer;
      for (int i = 0; i < measured_sizes().warm_ups; ++i) timer.milliseconds(function);
      for (auto _ : state) state.SetIterationTime(1e-3 * static_cast<double>(timer.milliseconds(function)));
      report(state, cost);
    } catch (const std::exception& error) {
      state.SkipWithError(error.what());
    }
  }

  // The median time of one run, after a few warm-up runs.
  static double median_seconds(const std::function<void(StreamView)>& function);

  // Bytes read and written per second by a large copy on the device, measured once.
  static double copy_bandwidth();

 private:
  // The time that the function's work takes on the device, after the cache flush.
  template <typename Function>
  float milliseconds(const Function& function) {
    cuda::flush_cache(static_cast<int64_t>(zeros_.size()), zeros_.data(), stream_);
    begin_.record(stream_);
    function(stream_.view());
    end_.record(stream_);
    end_.synchronize();
    return end_.milliseconds_since(begin_);
  }

  static void report(benchmark::State& state, const Cost& cost);

  Stream stream_;
  Event begin_, end_;
  DeviceBuffer<float> zeros_;
};

// Uniform in (-1, 1), the same in every run. T is float or BFloat16.
template <typename T>
DeviceBuffer<T> random_buffer(int64_t count);

// Repeats `pattern`.
template <typename T>
DeviceBuffer<T> filled(size_t count, const std::vector<T>& pattern) {
  std::vector<T> values;
  for (size_t i = 0; i < count; ++i) values.push_back(pattern[i % pattern.size()]);
  DeviceBuffer<T> buffer(count);
  const Stream stream;
  copy_to_device<T>(values, buffer.span(), stream);
  stream.synchronize();
  return buffer;
}

// Runs the registered benchmarks after Google Benchmark has parsed its flags. The output's context records
// the GPU, whether it is emulated, and its copy bandwidth. InputError if the filter matches nothing.
void run_gpu_benchmarks();

}  // namespace ddpm
