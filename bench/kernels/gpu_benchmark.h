// How work on a GPU is timed: events around one run, from a cold L2 cache, and its ideal bytes held
// against the copy bandwidth that the same program measures. The GPU may be the emulated one
// (measured_gpu.h).
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

  // What every benchmark here is registered with. A fixed number of iterations: by its own rule Google
  // Benchmark would run a kernel of some microseconds a hundred thousand times, each after a flush of the
  // cache that takes far longer.
  static void settings(benchmark::internal::Benchmark* benchmark) {
    benchmark->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(measured_sizes().iterations);
  }

  // The body of a benchmark with manual time: some runs to warm up, then one an iteration. Reports bytes and
  // operations a second by `cost`, and the share of the copy bandwidth. function(stream) gives its work to
  // the stream. What it throws is noted as this benchmark's error, and the others go on.
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

  // Of one run, after some to warm up: the median.
  static double median_seconds(const std::function<void(StreamView)>& function);

  // Bytes read and written a second by a large copy on the device, measured once.
  static double copy_bandwidth();

 private:
  // What the function's work takes on the device, once the flush of the cache before it has ended.
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

// `pattern` again and again.
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

// Runs what is registered, once Google Benchmark has taken its flags: notes the GPU, that it is emulated if
// it is, and its copy bandwidth in the output's context first. InputError if the filter leaves nothing to
// run.
void run_gpu_benchmarks();

}  // namespace ddpm
