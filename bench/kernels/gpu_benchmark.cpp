#include "bench/kernels/gpu_benchmark.h"

#include <algorithm>
#include <random>
#include <string>

#include "device/bfloat16.h"
#include "support/error.h"

namespace ddpm {
namespace {

// The pattern that fills large buffers repeatedly. Drawing every element on the host would take longer than
// the benchmarks; it is enough that neighboring cache lines differ.
constexpr size_t kPatternElements = size_t{1} << 20;

template <typename T>
std::vector<T> random_pattern() {
  std::mt19937 engine(1);
  std::vector<T> values(kPatternElements);
  for (T& value : values) value = from_float<T>(static_cast<float>(engine() >> 8) * 0x1p-23f - 1.0f);
  return values;
}

}  // namespace

GpuBenchmark::GpuBenchmark() : zeros_(measured_sizes().flush_bytes / sizeof(float)) {
  fill_bytes(zeros_.span(), 0, stream_);
}

double GpuBenchmark::median_seconds(const std::function<void(StreamView)>& function) {
  const MeasuredSizes sizes = measured_sizes();
  GpuBenchmark timer;
  for (int i = 0; i < sizes.warm_ups; ++i) timer.milliseconds(function);
  std::vector<double> times(static_cast<size_t>(sizes.median_runs));
  for (double& time : times) time = 1e-3 * static_cast<double>(timer.milliseconds(function));
  const auto middle = times.begin() + sizes.median_runs / 2;
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

double GpuBenchmark::copy_bandwidth() {
  static const double bandwidth = [] {
    const size_t bytes = measured_sizes().copy_bytes;
    const DeviceBuffer<std::byte> from(bytes), to(bytes);
    return 2.0 * static_cast<double>(bytes) / median_seconds([&](StreamView stream) {
             copy_on_device<std::byte>(from.span(), to.span(), stream);
           });
  }();
  return bandwidth;
}

void GpuBenchmark::report(benchmark::State& state, const Cost& cost) {
  using benchmark::Counter;
  // A rate per iteration: Counter divides by the time passed to SetIterationTime.
  const auto rate = Counter::kIsIterationInvariantRate;
  state.counters["bytes/s"] = Counter(cost.bytes, rate, Counter::kIs1000);
  state.counters["FLOP/s"] = Counter(cost.flops, rate, Counter::kIs1000);
  state.counters["bytes"] = cost.bytes;
  state.counters["share_of_copy"] = Counter(cost.bytes / copy_bandwidth(), rate);
}

template <typename T>
DeviceBuffer<T> random_buffer(int64_t count) {
  static const std::vector<T> pattern = random_pattern<T>();
  DeviceBuffer<T> buffer(static_cast<size_t>(count));
  const size_t first = std::min(pattern.size(), buffer.size());
  const Stream stream;
  copy_to_device<T>(std::span(pattern).first(first), buffer.span().subspan(0, first), stream);
  for (size_t begin = first; begin < buffer.size(); begin += first) {
    const size_t part = std::min(first, buffer.size() - begin);
    copy_on_device<T>(buffer.span().subspan(0, part), buffer.span().subspan(begin, part), stream);
  }
  stream.synchronize();
  return buffer;
}

template DeviceBuffer<float> random_buffer(int64_t);
template DeviceBuffer<BFloat16> random_buffer(int64_t);

void run_gpu_benchmarks() {
  const MeasuredGpu gpu = measured_gpu();
  benchmark::AddCustomContext("gpu", gpu.name);
  benchmark::AddCustomContext("l2_cache_bytes", std::to_string(gpu.l2_cache_bytes));
  if (gpu.emulated) benchmark::AddCustomContext("rehearsal", "true");
  benchmark::AddCustomContext("copy_bytes_per_second", std::to_string(GpuBenchmark::copy_bandwidth()));
  const size_t run = benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  if (run == 0) throw_input("--benchmark_filter: no benchmark matches");
}

}  // namespace ddpm
