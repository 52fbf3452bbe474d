#include "bench/kernels/cuda_benchmark.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>

#include "kernels/device/bfloat16.h"

namespace ddpm {
namespace {

constexpr size_t kFlushBytes = size_t{256} << 20;  // several times the L2 cache of any GPU that this runs on
constexpr size_t kCopyBytes = size_t{1} << 30;

}  // namespace

CudaBenchmark::CudaBenchmark() : flushed_(kFlushBytes) {}

void CudaBenchmark::flush_cache() { fill_bytes(flushed_.span(), 0, stream_); }

double CudaBenchmark::copy_bandwidth() {
  static const double bandwidth = [] {
    const DeviceBuffer<std::byte> from(kCopyBytes), to(kCopyBytes);
    CudaBenchmark timer;
    const auto copy = [&](StreamView stream) { copy_on_device<std::byte>(from.span(), to.span(), stream); };
    std::vector<double> times;
    for (int i = 0; i < kWarmUps + 20; ++i) times.push_back(timer.milliseconds(copy));
    times.erase(times.begin(), times.begin() + kWarmUps);
    std::nth_element(times.begin(), times.begin() + 10, times.end());
    return 2.0 * kCopyBytes / (1e-3 * times[10]);
  }();
  return bandwidth;
}

void CudaBenchmark::report(benchmark::State& state, const Cost& cost) {
  using benchmark::Counter;
  // A rate by iteration: Counter divides by the time that SetIterationTime gave.
  const auto rate = Counter::kIsIterationInvariantRate;
  state.counters["bytes/s"] = Counter(cost.bytes, rate, Counter::kIs1000);
  state.counters["FLOP/s"] = Counter(cost.flops, rate, Counter::kIs1000);
  state.counters["share_of_copy"] = Counter(cost.bytes / copy_bandwidth(), rate);
}

template <typename T>
DeviceBuffer<T> random_buffer(int64_t count) {
  std::mt19937 engine(1);
  std::vector<T> values(static_cast<size_t>(count));
  // The lower bits of a counter-based hash would do as well; what matters is that no two lines are alike.
  for (T& value : values) value = from_float<T>(static_cast<float>(engine() >> 8) * 0x1p-23f - 1.0f);
  DeviceBuffer<T> buffer(values.size());
  const Stream stream;
  copy_to_device<T>(values, buffer.span(), stream);
  stream.synchronize();
  return buffer;
}

template DeviceBuffer<float> random_buffer(int64_t);
template DeviceBuffer<BFloat16> random_buffer(int64_t);

}  // namespace ddpm

int main(int argc, char** argv) {
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code != cudaSuccess || count == 0) {
    std::printf("no GPU, nothing is measured: %s\n", cudaGetErrorString(code));
    return 0;
  }
  cudaDeviceProp device{};
  if (cudaGetDeviceProperties(&device, 0) == cudaSuccess) benchmark::AddCustomContext("gpu", device.name);
  benchmark::AddCustomContext("copy_bytes_per_second", std::to_string(ddpm::CudaBenchmark::copy_bandwidth()));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
