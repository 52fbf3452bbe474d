// The kernels around convolutions and GEMMs, in bf16 at the shapes of ddim-celeba-64 (batch 128) and one of
// ddpm-celebahq-256 (batch 16), next to the naive kernels.
#include <cstdint>

#include "bench/kernels/gpu_benchmark.h"
#include "bench/kernels/naive_kernels.h"
#include "kernels/cuda/kernels.h"

namespace ddpm {
namespace {

constexpr double kReal = sizeof(BFloat16), kMaster = sizeof(float);

// ---- Features (batch, side, side, channels). Arguments: side, channels, batch.

struct Features {
  explicit Features(const benchmark::State& state)
      : n(static_cast<int>(state.range(2))),
        side(static_cast<int>(state.range(0))),
        channels(static_cast<int>(state.range(1))) {}
  int64_t rows() const { return int64_t{n} * side * side; }
  int64_t elements() const { return rows() * channels; }

  int n, side, channels;
};

void features(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({256, 128, 16})->Args({64, 128, 128})->Args({32, 256, 128})->Args({16, 256, 128});
  GpuBenchmark::settings(benchmark->Args({8, 256, 128})->Args({4, 512, 128}));
}

void bias_gradient(benchmark::State& state, Kind kind) {
  const Features f(state);
  const DeviceBuffer<BFloat16> dy = random_buffer<BFloat16>(f.elements());
  const DeviceBuffer<float> dbias = random_buffer<float>(f.channels);
  const DeviceBuffer<std::byte> scratch(cuda::bias_gradient_scratch_bytes(f.rows(), f.channels));
  const auto elements = static_cast<double>(f.elements());
  GpuBenchmark::run(state, {elements, kReal * elements}, [&](StreamView stream) {
    if (kind == Kind::kNaive)
      return naive::bias_gradient(f.rows(), f.channels, dy.data(), dbias.data(), stream);
    cuda::bias_gradient<BFloat16>(f.rows(), f.channels, dy.data(), {dbias.data()}, scratch.data(), stream);
  });
}
BENCHMARK_CAPTURE(bias_gradient, ours, Kind::kOurs)->Apply(features);
BENCHMARK_CAPTURE(bias_gradient, naive, Kind::kNaive)->Apply(features);

// With the residual, as at the end of a block.
void broadcast_bias(benchmark::State& state, Kind kind) {
  const Features f(state);
  const DeviceBuffer<BFloat16> residual = random_buffer<BFloat16>(f.elements());
  const DeviceBuffer<BFloat16> y(static_cast<size_t>(f.elements()));
  const DeviceBuffer<BFloat16> bias = random_buffer<BFloat16>(f.channels);
  const auto elements = static_cast<double>(f.elements());
  GpuBenchmark::run(state, {elements, 2 * kReal * elements}, [&](StreamView stream) {
    if (kind == Kind::kNaive)
      return naive::broadcast_bias(f.rows(), f.channels, bias.data(), residual.data(), y.data(), stream);
    cuda::broadcast_bias<BFloat16>(f.rows(), f.channels, bias.data(), residual.data(), y.data(), stream);
  });
}
BENCHMARK_CAPTURE(broadcast_bias, ours, Kind::kOurs)->Apply(features);
BENCHMARK_CAPTURE(broadcast_bias, naive, Kind::kNaive)->Apply(features);

void add(benchmark::State& state, Kind kind) {
  const Features f(state);
  const DeviceBuffer<BFloat16> a = random_buffer<BFloat16>(f.elements());
  const DeviceBuffer<BFloat16> b = random_buffer<BFloat16>(f.elements());
  const DeviceBuffer<BFloat16> y(static_cast<size_t>(f.elements()));
  const auto elements = static_cast<double>(f.elements());
  GpuBenchmark::run(state, {elements, 3 * kReal * elements}, [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::add(f.elements(), a.data(), b.data(), y.data(), stream);
    cuda::add<BFloat16>(f.elements(), a.data(), b.data(), y.data(), stream);
  });
}
BENCHMARK_CAPTURE(add, ours, Kind::kOurs)->Apply(features);
BENCHMARK_CAPTURE(add, naive, Kind::kNaive)->Apply(features);

void nchw_to_nhwc(benchmark::State& state, Kind kind) {
  const Features f(state);
  const DeviceBuffer<BFloat16> from = random_buffer<BFloat16>(f.elements());
  const DeviceBuffer<BFloat16> to(static_cast<size_t>(f.elements()));
  GpuBenchmark::run(state, {0, 2 * kReal * static_cast<double>(f.elements())}, [&](StreamView stream) {
    if (kind == Kind::kNaive)
      return naive::nchw_to_nhwc(f.n, f.channels, f.side, f.side, from.data(), to.data(), stream);
    cuda::nchw_to_nhwc<BFloat16>(f.n, f.channels, f.side, f.side, from.data(), to.data(), stream);
  });
}
BENCHMARK_CAPTURE(nchw_to_nhwc, ours, Kind::kOurs)->Apply(features);
BENCHMARK_CAPTURE(nchw_to_nhwc, naive, Kind::kNaive)->Apply(features);

void pad_after(benchmark::State& state, Kind kind) {
  const Features f(state);
  const int64_t padded = int64_t{f.n} * (f.side + 1) * (f.side + 1) * f.channels;
  const DeviceBuffer<BFloat16> x = random_buffer<BFloat16>(f.elements());
  const DeviceBuffer<BFloat16> y(static_cast<size_t>(padded));
  GpuBenchmark::run(state, {0, kReal * static_cast<double>(f.elements() + padded)}, [&](StreamView stream) {
    if (kind == Kind::kNaive)
      return naive::pad_after(f.n, f.side, f.side, f.channels, x.data(), y.data(), stream);
    cuda::pad_after<BFloat16>(f.n, f.side, f.side, f.channels, x.data(), y.data(), stream);
  });
}
BENCHMARK_CAPTURE(pad_after, ours, Kind::kOurs)->Apply(features);
BENCHMARK_CAPTURE(pad_after, naive, Kind::kNaive)->Apply(features);

// ---- upsample_nearest and sum_pool. Arguments: smaller image side, channels, batch.

ResampleParams resample_shape(const benchmark::State& state) {
  const Features f(state);
  return {.n = f.n, .h = f.side, .w = f.side, .c = f.channels};
}

void upsample_nearest(benchmark::State& state, Kind kind) {
  const ResampleParams params = resample_shape(state);
  const DeviceBuffer<BFloat16> x = random_buffer<BFloat16>(params.small_elements());
  const DeviceBuffer<BFloat16> y(static_cast<size_t>(params.large_elements()));
  const ResampleArgs<BFloat16> args{x.data(), nullptr, y.data()};
  GpuBenchmark::run(state, cost(params, sizeof(BFloat16)), [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::upsample_nearest(params, args, stream);
    cuda::upsample_nearest<BFloat16>(params, args, stream);
  });
}

void sum_pool(benchmark::State& state, Kind kind) {
  const ResampleParams params = resample_shape(state);
  const DeviceBuffer<BFloat16> x = random_buffer<BFloat16>(params.large_elements());
  const DeviceBuffer<BFloat16> y(static_cast<size_t>(params.small_elements()));
  const ResampleArgs<BFloat16> args{x.data(), nullptr, y.data()};
  GpuBenchmark::run(state, cost(params, sizeof(BFloat16)), [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::sum_pool(params, args, stream);
    cuda::sum_pool<BFloat16>(params, args, stream);
  });
}

void levels(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({128, 128, 16})->Args({32, 256, 128})->Args({16, 256, 128});
  GpuBenchmark::settings(benchmark->Args({8, 256, 128})->Args({4, 512, 128}));
}
BENCHMARK_CAPTURE(upsample_nearest, ours, Kind::kOurs)->Apply(levels);
BENCHMARK_CAPTURE(upsample_nearest, naive, Kind::kNaive)->Apply(levels);
BENCHMARK_CAPTURE(sum_pool, ours, Kind::kOurs)->Apply(levels);
BENCHMARK_CAPTURE(sum_pool, naive, Kind::kNaive)->Apply(levels);

// ---- Weights (channels, R, R, channels) and their gradients. Argument: channels.

void weights(benchmark::internal::Benchmark* benchmark) {
  GpuBenchmark::settings(benchmark->Arg(128)->Arg(256)->Arg(512));
}

void fold_upsample_weight(benchmark::State& state, Kind kind) {
  const auto channels = static_cast<int>(state.range(0));
  const int64_t pairs = int64_t{channels} * channels;
  const DeviceBuffer<BFloat16> weight = random_buffer<BFloat16>(9 * pairs);
  const DeviceBuffer<BFloat16> folded(static_cast<size_t>(16 * pairs));
  const auto count = static_cast<double>(pairs);
  GpuBenchmark::run(state, {20 * count, kReal * (9 + 16) * count}, [&](StreamView stream) {
    if (kind == Kind::kNaive)
      return naive::fold_upsample_weight(channels, channels, weight.data(), folded.data(), stream);
    cuda::fold_upsample_weight<BFloat16>(channels, channels, weight.data(), folded.data(), stream);
  });
}
BENCHMARK_CAPTURE(fold_upsample_weight, ours, Kind::kOurs)->Apply(weights);
BENCHMARK_CAPTURE(fold_upsample_weight, naive, Kind::kNaive)->Apply(weights);

void unfold_upsample_gradient(benchmark::State& state, Kind kind) {
  const auto channels = static_cast<int>(state.range(0));
  const int64_t pairs = int64_t{channels} * channels;
  const DeviceBuffer<BFloat16> dfolded = random_buffer<BFloat16>(16 * pairs);
  const DeviceBuffer<float> dweight = random_buffer<float>(9 * pairs);
  const auto count = static_cast<double>(pairs);
  GpuBenchmark::run(state, {36 * count, (kReal * 16 + kMaster * 18) * count}, [&](StreamView stream) {
    if (kind == Kind::kNaive)
      return naive::unfold_upsample_gradient(channels, channels, dfolded.data(), dweight.data(), stream);
    cuda::unfold_upsample_gradient<BFloat16>(channels, channels, dfolded.data(), dweight.data(), stream);
  });
}
BENCHMARK_CAPTURE(unfold_upsample_gradient, ours, Kind::kOurs)->Apply(weights);
BENCHMARK_CAPTURE(unfold_upsample_gradient, naive, Kind::kNaive)->Apply(weights);

// Adds the gradient of a 3x3 filter to the gradient arena.
void accumulate(benchmark::State& state, Kind kind) {
  const int64_t elements = 9 * state.range(0) * state.range(0);
  const DeviceBuffer<BFloat16> from = random_buffer<BFloat16>(elements);
  const DeviceBuffer<float> to = random_buffer<float>(elements);
  const auto count = static_cast<double>(elements);
  GpuBenchmark::run(state, {count, (kReal + 2 * kMaster) * count}, [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::accumulate(elements, from.data(), to.data(), stream);
    cuda::accumulate<BFloat16>(elements, from.data(), to.data(), stream);
  });
}
BENCHMARK_CAPTURE(accumulate, ours, Kind::kOurs)->Apply(weights);
BENCHMARK_CAPTURE(accumulate, naive, Kind::kNaive)->Apply(weights);

// ---- silu, before linear layers. Argument: elements, those of a batch's time embedding and many.

void silu(benchmark::State& state, Kind kind) {
  const DeviceBuffer<BFloat16> x = random_buffer<BFloat16>(state.range(0));
  const DeviceBuffer<BFloat16> y(x.size());
  const auto elements = static_cast<double>(x.size());
  GpuBenchmark::run(state, {4 * elements, 2 * kReal * elements}, [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::silu(state.range(0), x.data(), y.data(), stream);
    cuda::silu<BFloat16>(state.range(0), x.data(), y.data(), stream);
  });
}

void counts(benchmark::internal::Benchmark* benchmark) {
  GpuBenchmark::settings(benchmark->Arg(128 * 512)->Arg(1 << 27));
}
BENCHMARK_CAPTURE(silu, ours, Kind::kOurs)->Apply(counts);
BENCHMARK_CAPTURE(silu, naive, Kind::kNaive)->Apply(counts);

}  // namespace
}  // namespace ddpm
