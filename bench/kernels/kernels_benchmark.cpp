// Both ends of a training step and of a sampling step, the optimizer and the softmax, in bf16 at the shapes
// of the presets and at one size larger than any L2 cache, next to the naive kernels.
#include <cstdint>
#include <vector>

#include "bench/kernels/gpu_benchmark.h"
#include "bench/kernels/naive_kernels.h"
#include "kernels/cuda/kernels.h"

namespace ddpm {
namespace {

// ---- diffuse and loss. Arguments: image side, batch.

DiffusionParams diffusion_shape(const benchmark::State& state) {
  const int side = static_cast<int>(state.range(0));
  // 192 MiB at 64x64, larger than any L2 cache.
  return {
      .n = static_cast<int>(state.range(1)), .h = side, .w = side, .c = 3, .dataset_count = 16384, .seed = 1};
}

struct DiffusionTensors {
  explicit DiffusionTensors(const DiffusionParams& params)
      : dataset(static_cast<size_t>(params.dataset_count * params.image_elements())),
        table(random_buffer<float>(params.timesteps)),
        t(filled<float>(static_cast<size_t>(params.n), {0, 1, 500, 999})),
        image_loss(static_cast<size_t>(params.n)),
        step(filled<int64_t>(1, {7})),
        x(random_buffer<BFloat16>(params.elements())),
        y(static_cast<size_t>(params.elements())),
        scratch(cuda::loss_scratch_bytes(params)) {
    const Stream stream;
    fill_bytes(dataset.span(), 100, stream);
    stream.synchronize();
  }
  DeviceBuffer<uint8_t> dataset;
  DeviceBuffer<float> table, t, image_loss;
  DeviceBuffer<int64_t> step;
  DeviceBuffer<BFloat16> x, y;
  DeviceBuffer<std::byte> scratch;  // for the loss, which needs more than diffuse
};

void diffuse(benchmark::State& state, Kind kind) {
  const DiffusionParams params = diffusion_shape(state);
  const DiffusionTensors tensors(params);
  const DiffuseArgs<BFloat16, float> args{tensors.dataset.data(),
                                          tensors.table.data(),
                                          tensors.table.data(),
                                          tensors.step.data(),
                                          tensors.y.data(),
                                          tensors.t.data(),
                                          nullptr};
  GpuBenchmark::run(state, cost_of_diffuse(params, sizeof(BFloat16)), [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::diffuse(params, args, stream);
    cuda::diffuse<BFloat16>(params, args, tensors.scratch.data(), stream);
  });
}

void loss(benchmark::State& state, Kind kind) {
  const DiffusionParams params = diffusion_shape(state);
  const DiffusionTensors tensors(params);
  const LossArgs<BFloat16, float> args{
      tensors.x.data(), tensors.dataset.data(), tensors.table.data(), tensors.table.data(),     nullptr,
      tensors.t.data(), tensors.step.data(),    tensors.y.data(),     tensors.image_loss.data()};
  GpuBenchmark::run(state, cost_of_loss(params, sizeof(BFloat16)), [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::loss(params, args, stream);
    cuda::loss<BFloat16>(params, args, tensors.scratch.data(), stream);
  });
}

void images(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({64, 128})->Args({32, 128})->Args({256, 16})->Args({64, 8192});
  GpuBenchmark::settings(benchmark);
}
BENCHMARK_CAPTURE(diffuse, ours, Kind::kOurs)->Apply(images);
BENCHMARK_CAPTURE(diffuse, naive, Kind::kNaive)->Apply(images);
BENCHMARK_CAPTURE(loss, ours, Kind::kOurs)->Apply(images);
BENCHMARK_CAPTURE(loss, naive, Kind::kNaive)->Apply(images);

// ---- sampler_step (DDPM, with noise) and the kernels before it. Arguments: image side, batch.

SamplerStepParams sampler_shape(const benchmark::State& state) {
  const int side = static_cast<int>(state.range(0));
  return {.n = static_cast<int>(state.range(1)), .h = side, .w = side, .c = 3, .steps = 2};
}

DeviceBuffer<SamplerRow<float>> sampler_table() {
  SamplerRow<float> row{};
  row.x0_from_x = 1.25F;
  row.x0_from_output = -0.75F;
  row.clip_range = 1;
  row.noise = 0.1F;
  row.x.x = row.x.x0 = 0.5F;
  return filled<SamplerRow<float>>(2, {row});
}

void sampler_step(benchmark::State& state, Kind kind) {
  const SamplerStepParams params = sampler_shape(state);
  const DeviceBuffer<SamplerRow<float>> table = sampler_table();
  const DeviceBuffer<int64_t> index = filled<int64_t>(1, {0});
  const DeviceBuffer<BFloat16> output = random_buffer<BFloat16>(params.elements());
  const DeviceBuffer<BFloat16> network_input(static_cast<size_t>(params.elements()));
  const DeviceBuffer<float> x = random_buffer<float>(params.elements()), t = random_buffer<float>(params.n);
  const SamplerStepArgs<BFloat16, float> args{output.data(), table.data(), index.data(), index.data(),
                                              x.data(),      nullptr,      nullptr,      network_input.data(),
                                              t.data()};
  // The state is float, the network's input and output are bf16.
  constexpr double kBytes = 2 * sizeof(float) + 2 * sizeof(BFloat16);
  const Cost ideal{cost(params, sizeof(float)).flops, kBytes * static_cast<double>(params.elements())};
  GpuBenchmark::run(state, ideal, [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::sampler_step(params, args, stream);
    cuda::sampler_step<BFloat16>(params, args, stream);
  });
}
BENCHMARK_CAPTURE(sampler_step, ours, Kind::kOurs)->Apply(images);
BENCHMARK_CAPTURE(sampler_step, naive, Kind::kNaive)->Apply(images);

void dynamic_threshold(benchmark::State& state, Kind kind) {
  const DynamicThresholdParams params{.step = sampler_shape(state), .ratio = 0.995, .max_value = 10};
  const DeviceBuffer<SamplerRow<float>> table = sampler_table();
  const DeviceBuffer<int64_t> index = filled<int64_t>(1, {0});
  const DeviceBuffer<BFloat16> output = random_buffer<BFloat16>(params.step.elements());
  const DeviceBuffer<float> x = random_buffer<float>(params.step.elements());
  const DeviceBuffer<float> threshold(static_cast<size_t>(params.step.n));
  const DynamicThresholdArgs<BFloat16, float> args{output.data(), table.data(), index.data(), x.data(),
                                                   threshold.data()};
  const auto elements = static_cast<double>(params.step.elements());
  const Cost ideal{cost(params, sizeof(float)).flops, (sizeof(float) + sizeof(BFloat16)) * elements};
  GpuBenchmark::run(state, ideal, [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::dynamic_threshold(params, args, stream);
    cuda::dynamic_threshold<BFloat16>(params, args, stream);
  });
}
BENCHMARK_CAPTURE(dynamic_threshold, ours, Kind::kOurs)->Apply(images);
BENCHMARK_CAPTURE(dynamic_threshold, naive, Kind::kNaive)->Apply(images);

void guidance(benchmark::State& state, Kind kind) {
  const SamplerStepParams images = sampler_shape(state);
  const GuidanceParams params{.n = images.n, .pixels = int64_t{images.h} * images.w, .scale = 3};
  const DeviceBuffer<BFloat16> outputs = random_buffer<BFloat16>(2 * params.elements());
  const DeviceBuffer<BFloat16> y(static_cast<size_t>(params.elements()));
  const GuidanceArgs<BFloat16> args{outputs.data(), y.data()};
  GpuBenchmark::run(state, cost(params, sizeof(BFloat16)), [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::guidance(params, args, stream);
    cuda::guidance<BFloat16>(params, args, stream);
  });
}
BENCHMARK_CAPTURE(guidance, ours, Kind::kOurs)->Apply(images);
BENCHMARK_CAPTURE(guidance, naive, Kind::kNaive)->Apply(images);

// ---- time_embedding. Arguments: batch, channels.

void time_embedding(benchmark::State& state, Kind kind) {
  const TimeEmbeddingParams params{.n = static_cast<int>(state.range(0)),
                                   .channels = static_cast<int>(state.range(1))};
  const DeviceBuffer<float> t = filled<float>(static_cast<size_t>(params.n), {0, 1, 500, 999});
  const DeviceBuffer<BFloat16> y(static_cast<size_t>(params.n) * static_cast<size_t>(params.channels));
  const TimeEmbeddingArgs<BFloat16, float> args{t.data(), nullptr, y.data()};
  GpuBenchmark::run(state, cost(params, sizeof(BFloat16)), [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::time_embedding(params, args, stream);
    cuda::time_embedding<BFloat16>(params, args, stream);
  });
}

void embeddings(benchmark::internal::Benchmark* benchmark) {
  GpuBenchmark::settings(benchmark->Args({128, 128})->Args({1 << 18, 512}));
}
BENCHMARK_CAPTURE(time_embedding, ours, Kind::kOurs)->Apply(embeddings);
BENCHMARK_CAPTURE(time_embedding, naive, Kind::kNaive)->Apply(embeddings);

// ---- adam_ema. Argument: parameters, in whole vectors.

void adam_ema(benchmark::State& state, Kind kind) {
  const AdamParams params{.count = state.range(0)};
  const DeviceBuffer<float> g = random_buffer<float>(params.count), w = random_buffer<float>(params.count);
  const DeviceBuffer<float> m = random_buffer<float>(params.count), ema = random_buffer<float>(params.count);
  const DeviceBuffer<float> v = filled<float>(static_cast<size_t>(params.count), {1e-3F, 2e-3F, 4e-3F});
  const DeviceBuffer<float> norm(1), learning_rate(1);
  const DeviceBuffer<int64_t> step = filled<int64_t>(1, {1000});
  const DeviceBuffer<BFloat16> compute_weights(static_cast<size_t>(params.count));
  const DeviceBuffer<std::byte> scratch(cuda::adam_ema_scratch_bytes(params));
  const AdamEmaArgs<float> args{step.data(), g.data(),   w.data(),    m.data(),
                                v.data(),    ema.data(), norm.data(), learning_rate.data()};
  Cost ideal = cost(params, sizeof(float));
  ideal.bytes += sizeof(BFloat16) * static_cast<double>(params.count);
  GpuBenchmark::run(state, ideal, [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::adam_ema(params, args, compute_weights.data(), stream);
    cuda::adam_ema(params, args, compute_weights.data(), scratch.data(), stream);
  });
}

// The parameters of ddim-celeba-64 and ddpm-cifar10-32, rounded up.
void arenas(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(78700864)->Arg(35746368);
  GpuBenchmark::settings(benchmark);
}
BENCHMARK_CAPTURE(adam_ema, ours, Kind::kOurs)->Apply(arenas);
BENCHMARK_CAPTURE(adam_ema, naive, Kind::kNaive)->Apply(arenas);

// ---- softmax. Arguments: rows, length.

void softmax(benchmark::State& state, Kind kind) {
  const SoftmaxParams params{state.range(0), static_cast<int>(state.range(1)), 0.0625};
  const DeviceBuffer<BFloat16> x = random_buffer<BFloat16>(params.elements());
  const DeviceBuffer<BFloat16> p(static_cast<size_t>(params.elements()));
  GpuBenchmark::run(state, cost(params, sizeof(BFloat16)), [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::softmax(params, {x.data(), p.data()}, stream);
    cuda::softmax<BFloat16>(params, {x.data(), p.data()}, stream);
  });
}

void softmax_backward(benchmark::State& state, Kind kind) {
  const SoftmaxParams params{state.range(0), static_cast<int>(state.range(1)), 0.0625};
  const DeviceBuffer<BFloat16> p = random_buffer<BFloat16>(params.elements());
  const DeviceBuffer<BFloat16> dp = random_buffer<BFloat16>(params.elements());
  const DeviceBuffer<BFloat16> dx(static_cast<size_t>(params.elements()));
  const SoftmaxBackwardArgs<BFloat16> args{p.data(), dp.data(), dx.data()};
  GpuBenchmark::run(state, backward_cost(params, sizeof(BFloat16)), [&](StreamView stream) {
    if (kind == Kind::kNaive) return naive::softmax_backward(params, args, stream);
    cuda::softmax_backward<BFloat16>(params, args, stream);
  });
}

// One head at 16x16 and at 4x4, and a size larger than any L2 cache.
void rows(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({128 * 256, 256})->Args({128 * 16, 16})->Args({1 << 19, 256})->Args({1 << 15, 4096});
  GpuBenchmark::settings(benchmark);
}
BENCHMARK_CAPTURE(softmax, ours, Kind::kOurs)->Apply(rows);
BENCHMARK_CAPTURE(softmax, naive, Kind::kNaive)->Apply(rows);
BENCHMARK_CAPTURE(softmax_backward, ours, Kind::kOurs)->Apply(rows);
BENCHMARK_CAPTURE(softmax_backward, naive, Kind::kNaive)->Apply(rows);

}  // namespace
}  // namespace ddpm
