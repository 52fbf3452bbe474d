// The kernels around the network's inputs, labels and gradients, in bf16: at the shapes of the presets, where
// each takes a few microseconds of a step, and at one size larger than any L2 cache. There are no naive
// kernels, since these are as simple.
#include <cstdint>
#include <vector>

#include "bench/kernels/gpu_benchmark.h"
#include "kernels/cuda/kernels.h"

namespace ddpm {
namespace {

constexpr double kReal = sizeof(BFloat16), kMaster = sizeof(float);

// ---- gather_labels and one_hot. Arguments: batch, columns.

// CelebA's 40 attributes, or 1000 classes.
void gather_labels(benchmark::State& state) {
  constexpr int64_t kImages = 16384;
  const bool attributes = state.range(1) == 80;
  const LabelParams shape{.n = static_cast<int>(state.range(0)),
                          .dataset_count = kImages,
                          .fields = attributes ? 40 : 1,
                          .values = attributes ? 2 : static_cast<int>(state.range(1)),
                          .dropout = 0.1,
                          .field_dropout = attributes ? 1.0 : 0.0,
                          .seed = 1};
  const DeviceBuffer<float> labels = filled<float>(static_cast<size_t>(kImages * shape.fields), {0, 1, 1, 0});
  const DeviceBuffer<int64_t> step = filled<int64_t>(1, {7});
  const DeviceBuffer<BFloat16> y(static_cast<size_t>(shape.n) * static_cast<size_t>(shape.columns()));
  const GatherLabelsArgs<BFloat16, float> args{labels.data(), step.data(), y.data()};
  GpuBenchmark::run(state, cost(shape, sizeof(BFloat16)),
                    [&](StreamView stream) { cuda::gather_labels<BFloat16>(shape, args, stream); });
}
void label_rows(benchmark::internal::Benchmark* benchmark) {
  GpuBenchmark::settings(benchmark->Args({128, 80})->Args({128, 1000})->Args({1 << 20, 80}));
}
BENCHMARK(gather_labels)->Name("gather_labels/ours")->Apply(label_rows);

void one_hot(benchmark::State& state) {
  const OneHotShape shape{.n = static_cast<int>(state.range(0)), .classes = static_cast<int>(state.range(1))};
  const DeviceBuffer<float> index = filled<float>(static_cast<size_t>(shape.n), {0, 3, 7, 9});
  const DeviceBuffer<BFloat16> y(static_cast<size_t>(shape.n) * static_cast<size_t>(shape.classes));
  const OneHotArgs<BFloat16, float> args{index.data(), y.data()};
  GpuBenchmark::run(state, cost(shape, sizeof(BFloat16)),
                    [&](StreamView stream) { cuda::one_hot<BFloat16>(shape, args, stream); });
}
void class_rows(benchmark::internal::Benchmark* benchmark) {
  GpuBenchmark::settings(benchmark->Args({128, 10})->Args({128, 1000})->Args({1 << 17, 1000}));
}
BENCHMARK(one_hot)->Name("one_hot/ours")->Apply(class_rows);

// ---- sampler_start and rescale. Arguments: side of the image, batch.

void images(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({64, 128})->Args({32, 128})->Args({256, 16})->Args({64, 8192});
  GpuBenchmark::settings(benchmark);
}

// About 20 operations per normal number.
void sampler_start(benchmark::State& state) {
  const int side = static_cast<int>(state.range(0));
  const SamplerStepParams shape{
      .n = static_cast<int>(state.range(1)), .h = side, .w = side, .c = 3, .steps = 1};
  const DeviceBuffer<SamplerRow<float>> table = filled<SamplerRow<float>>(1, {SamplerRow<float>{}});
  const DeviceBuffer<int64_t> first_image = filled<int64_t>(1, {0});
  const DeviceBuffer<float> x(static_cast<size_t>(shape.elements())), t(static_cast<size_t>(shape.n));
  const DeviceBuffer<BFloat16> network_input(static_cast<size_t>(shape.elements()));
  const SamplerStartArgs<BFloat16, float> args{table.data(), first_image.data(), x.data(),
                                               network_input.data(), t.data()};
  const auto elements = static_cast<double>(shape.elements());
  GpuBenchmark::run(state, {20 * elements, (kMaster + kReal) * elements},
                    [&](StreamView stream) { cuda::sampler_start<BFloat16>(shape, args, stream); });
}
BENCHMARK(sampler_start)->Name("sampler_start/ours")->Apply(images);

void rescale(benchmark::State& state) {
  const RescaleParams shape{.n = static_cast<int>(state.range(1)),
                            .elements = 3 * state.range(0) * state.range(0),
                            .scale = 2,
                            .offset = -1};
  const DeviceBuffer<BFloat16> x = random_buffer<BFloat16>(shape.n * shape.elements);
  const DeviceBuffer<BFloat16> y(x.size());
  const DeviceBuffer<float> divisor = filled<float>(static_cast<size_t>(shape.n), {1, 2, 4});
  const RescaleArgs<BFloat16, float> args{x.data(), divisor.data(), y.data()};
  GpuBenchmark::run(state, cost(shape, sizeof(BFloat16)),
                    [&](StreamView stream) { cuda::rescale<BFloat16>(shape, args, stream); });
}
BENCHMARK(rescale)->Name("rescale/ours")->Apply(images);

// ---- crop_after: the data gradient of a downsampling convolution. Arguments: side, channels, batch.

void crop_after(benchmark::State& state) {
  const auto n = static_cast<int>(state.range(2)), side = static_cast<int>(state.range(0)),
             channels = static_cast<int>(state.range(1));
  const int64_t elements = int64_t{n} * side * side * channels;
  const DeviceBuffer<BFloat16> x = random_buffer<BFloat16>(int64_t{n} * (side + 1) * (side + 1) * channels);
  const DeviceBuffer<BFloat16> y(static_cast<size_t>(elements));
  GpuBenchmark::run(state, {0, 2 * kReal * static_cast<double>(elements)}, [&](StreamView stream) {
    cuda::crop_after<BFloat16>(n, side, side, channels, x.data(), y.data(), stream);
  });
}
void features(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({256, 128, 16})->Args({64, 128, 128})->Args({32, 256, 128})->Args({16, 256, 128});
  GpuBenchmark::settings(benchmark->Args({8, 256, 128}));
}
BENCHMARK(crop_after)->Name("crop_after/ours")->Apply(features);

// ---- accumulate_rows: the gradient of half the inputs of a 1x1 filter. Arguments: filters, channels.

void accumulate_rows(benchmark::State& state) {
  const int64_t rows = state.range(0);
  const auto channels = static_cast<int>(state.range(1));
  const DeviceBuffer<BFloat16> from = random_buffer<BFloat16>(rows * channels);
  const DeviceBuffer<float> to = random_buffer<float>(rows * 2 * channels);
  const auto elements = static_cast<double>(rows * channels);
  GpuBenchmark::run(state, {elements, (kReal + 2 * kMaster) * elements}, [&](StreamView stream) {
    cuda::accumulate_rows<BFloat16>(rows, channels, 2 * int64_t{channels}, from.data(), to.data(), stream);
  });
}
void filters(benchmark::internal::Benchmark* benchmark) {
  GpuBenchmark::settings(
      benchmark->Args({128, 128})->Args({256, 256})->Args({512, 512})->Args({1 << 18, 256}));
}
BENCHMARK(accumulate_rows)->Name("accumulate_rows/ours")->Apply(filters);

// ---- convert and silu_backward. Argument: elements, those of a batch's time embedding and many.

void counts(benchmark::internal::Benchmark* benchmark) {
  GpuBenchmark::settings(benchmark->Arg(128 * 512)->Arg(1 << 27));
}

void convert(benchmark::State& state) {
  const DeviceBuffer<float> from = random_buffer<float>(state.range(0));
  const DeviceBuffer<BFloat16> to(from.size());
  const double bytes = (kMaster + kReal) * static_cast<double>(from.size());
  GpuBenchmark::run(state, {0, bytes}, [&](StreamView stream) {
    cuda::convert<float, BFloat16>(state.range(0), from.data(), to.data(), stream);
  });
}
BENCHMARK(convert)->Name("convert/ours")->Apply(counts);

void silu_backward(benchmark::State& state) {
  const DeviceBuffer<BFloat16> x = random_buffer<BFloat16>(state.range(0));
  const DeviceBuffer<BFloat16> dy = random_buffer<BFloat16>(state.range(0));
  const DeviceBuffer<BFloat16> dx(x.size());
  const auto elements = static_cast<double>(x.size());
  GpuBenchmark::run(state, {8 * elements, 3 * kReal * elements}, [&](StreamView stream) {
    cuda::silu_backward<BFloat16>(state.range(0), x.data(), dy.data(), dx.data(), stream);
  });
}
BENCHMARK(silu_backward)->Name("silu_backward/ours")->Apply(counts);

}  // namespace
}  // namespace ddpm
