// Emulator time per thread, barrier and shuffle, for the table in docs/emulator.md.
#include <benchmark/benchmark.h>

#include "tests/device/device_memory.h"
#include "tests/device/emulator/costs/kernels.h"
#include "tests/device/emulator/sound/kernels.h"

namespace ddpm {
namespace {

// Reports time per item: per thread, per thread and barrier, per lane and shuffle.
void report_items(benchmark::State& state, int64_t items_per_launch) {
  state.counters["per_item"] = benchmark::Counter(static_cast<double>(state.iterations() * items_per_launch),
                                                  benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void thread_start(benchmark::State& state) {
  const Stream stream;
  for (auto _ : state) costs::threads(stream);
  report_items(state, costs::kThreads);
}
BENCHMARK(thread_start);

void barrier(benchmark::State& state) {
  const Stream stream;
  for (auto _ : state) costs::barriers(stream);
  report_items(state, int64_t{costs::kThreads} * costs::kRepetitions);
}
BENCHMARK(barrier);

void shuffle(benchmark::State& state) {
  const Stream stream;
  const DeviceBuffer<float> out(costs::kThreads);
  for (auto _ : state) costs::shuffles(out.data(), stream);
  report_items(state, int64_t{costs::kThreads} * costs::kRepetitions);
}
BENCHMARK(shuffle);

// A whole kernel: LayerNorm of 1024 rows of 1024 floats with 128 threads per row, the elements of an (8, 32,
// 32, 128) activation.
void layer_norm(benchmark::State& state) {
  constexpr int kRows = 1024;
  constexpr int kColumns = 1024;
  const Stream stream;
  const DeviceBuffer<float> x = to_device(std::vector<float>(kRows * kColumns, 1.0f), stream);
  const DeviceBuffer<float> y(x.size());
  for (auto _ : state) sound::layer_norm<float>(x.span(), y.span(), kRows, kColumns, stream);
  report_items(state, int64_t{kRows} * kColumns);
}
BENCHMARK(layer_norm)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ddpm

BENCHMARK_MAIN();
