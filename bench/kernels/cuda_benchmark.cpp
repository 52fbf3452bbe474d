#include "bench/kernels/cuda_benchmark.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>

#include "kernels/device/bfloat16.h"

namespace ddpm {
namespace {

constexpr size_t kFlushFloats = size_t{64} << 20;  // several times the L2 cache of any GPU that this runs on
constexpr size_t kCopyBytes = size_t{1} << 30;
// What large buffers are filled with again and again. Drawing every element on the host would take longer
// than the benchmarks; that no two lines near each other are alike is enough.
constexpr size_t kPatternElements = size_t{1} << 20;

template <typename T>
std::vector<T> random_pattern() {
  std::mt19937 engine(1);
  std::vector<T> values(kPatternElements);
  for (T& value : values) value = from_float<T>(static_cast<float>(engine() >> 8) * 0x1p-23f - 1.0f);
  return values;
}

}  // namespace

CudaBenchmark::CudaBenchmark() : zeros_(kFlushFloats) { fill_bytes(zeros_.span(), 0, stream_); }

double CudaBenchmark::median_seconds(const std::function<void(StreamView)>& function) {
  constexpr int kRuns = 20;
  CudaBenchmark timer;
  for (int i = 0; i < kWarmUps; ++i) timer.milliseconds(function);
  std::vector<double> times(kRuns);
  for (double& time : times) time = 1e-3 * static_cast<double>(timer.milliseconds(function));
  std::nth_element(times.begin(), times.begin() + kRuns / 2, times.end());
  return times[kRuns / 2];
}

double CudaBenchmark::copy_bandwidth() {
  static const double bandwidth = [] {
    const DeviceBuffer<std::byte> from(kCopyBytes), to(kCopyBytes);
    return 2.0 * kCopyBytes / median_seconds([&](StreamView stream) {
             copy_on_device<std::byte>(from.span(), to.span(), stream);
           });
  }();
  return bandwidth;
}

void CudaBenchmark::report(benchmark::State& state, const Cost& cost) {
  using benchmark::Counter;
  // A rate by iteration: Counter divides by the time that SetIterationTime gave.
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

bool find_gpu() {
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaSuccess && count > 0) return true;
  std::printf("no GPU, nothing is measured: %s\n", cudaGetErrorString(code));
  return false;
}

void run_cuda_benchmarks() {
  cudaDeviceProp device{};
  if (cudaGetDeviceProperties(&device, 0) == cudaSuccess) {
    benchmark::AddCustomContext("gpu", device.name);
    benchmark::AddCustomContext("l2_cache_bytes", std::to_string(device.l2CacheSize));
  }
  benchmark::AddCustomContext("copy_bytes_per_second", std::to_string(CudaBenchmark::copy_bandwidth()));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}

}  // namespace ddpm
