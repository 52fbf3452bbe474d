// GroupNorm + SiLU in bf16 for the shapes of ddim-celeba-64 and ddpm-cifar10-32 at batch 128, with and
// without dropout, and the naive kernels beside it. Arguments: side of the image, channels.
#include <algorithm>
#include <utility>
#include <vector>

#include "bench/kernels/cuda_benchmark.h"
#include "bench/kernels/naive_group_norm.h"
#include "kernels/cuda/kernels.h"
#include "kernels/random.h"

namespace ddpm {
namespace {

constexpr int kBatch = 128;

GroupNormShape shape_of(const benchmark::State& state, double dropout) {
  const int side = static_cast<int>(state.range(0));
  return {.n = kBatch,
          .pixels = side * side,
          .c0 = static_cast<int>(state.range(1)),
          .groups = 32,
          .activation = Activation::kSilu,
          .dropout = dropout,
          .dropout_stream = static_cast<uint32_t>(RandomStream::kDropout)};
}

struct Tensors {
  explicit Tensors(const GroupNormShape& shape)
      : x(random_buffer<BFloat16>(shape.elements())),
        dy(random_buffer<BFloat16>(shape.elements())),
        y(static_cast<size_t>(shape.elements())),
        gamma(random_buffer<float>(shape.channels())),
        beta(random_buffer<float>(shape.channels())),
        dgamma(random_buffer<float>(shape.channels())),
        dbeta(random_buffer<float>(shape.channels())),
        mean(random_buffer<float>(int64_t{shape.n} * shape.groups)),
        rstd(random_buffer<float>(int64_t{shape.n} * shape.groups)),
        step(1),
        scratch(
            std::max(cuda::group_norm_scratch_bytes(shape), cuda::group_norm_backward_scratch_bytes(shape))) {
    const Stream stream;
    fill_bytes(step.span(), 0, stream);
    stream.synchronize();
  }

  GroupNormArgs<BFloat16, float> forward() const {
    return {.x0 = x.data(),
            .x1 = nullptr,
            .shift = nullptr,
            .bias = nullptr,
            .gamma = gamma.data(),
            .beta = beta.data(),
            .film = nullptr,
            .y = y.data(),
            .mean = mean.data(),
            .rstd = rstd.data(),
            .dropout = {1, step.data()}};
  }
  GroupNormBackwardArgs<BFloat16, float> backward() const {
    return {.dy = dy.data(),
            .x0 = x.data(),
            .x1 = nullptr,
            .shift = nullptr,
            .bias = nullptr,
            .gamma = gamma.data(),
            .beta = beta.data(),
            .film = nullptr,
            .mean = mean.data(),
            .rstd = rstd.data(),
            .dx0_addends = {},
            .dx1_addends = {},
            .dx0 = y.data(),
            .dx1 = nullptr,
            .dshift = nullptr,
            .dbias = nullptr,
            .dgamma = dgamma.data(),
            .dbeta = dbeta.data(),
            .dfilm = nullptr,
            .dropout = {1, step.data()}};
  }

  DeviceBuffer<BFloat16> x, dy, y;
  DeviceBuffer<float> gamma, beta, dgamma, dbeta, mean, rstd;
  DeviceBuffer<int64_t> step;
  DeviceBuffer<std::byte> scratch;
};

void forward(benchmark::State& state, double dropout) {
  const GroupNormShape shape = shape_of(state, dropout);
  const Tensors tensors(shape);
  CudaBenchmark::run(state, cost(shape, sizeof(BFloat16)), [&](StreamView stream) {
    cuda::group_norm<BFloat16>(shape, tensors.forward(), tensors.scratch.data(), stream);
  });
}

void backward(benchmark::State& state, double dropout) {
  const GroupNormShape shape = shape_of(state, dropout);
  const Tensors tensors(shape);
  CudaBenchmark::run(state, backward_cost(shape, sizeof(BFloat16)), [&](StreamView stream) {
    cuda::group_norm_backward<BFloat16>(shape, tensors.backward(), tensors.scratch.data(), stream);
  });
}

void naive_forward(benchmark::State& state) {
  const GroupNormShape shape = shape_of(state, 0);
  const Tensors tensors(shape);
  CudaBenchmark::run(state, cost(shape, sizeof(BFloat16)),
                     [&](StreamView stream) { naive::group_norm(shape, tensors.forward(), stream); });
}

void naive_backward(benchmark::State& state) {
  const GroupNormShape shape = shape_of(state, 0);
  const Tensors tensors(shape);
  CudaBenchmark::run(state, backward_cost(shape, sizeof(BFloat16)), [&](StreamView stream) {
    naive::group_norm_backward(shape, tensors.backward(), stream);
  });
}

// The normalisations of ddim-celeba-64 (sides 64 to 4) and ddpm-cifar10-32 (32 to 4).
void shapes(benchmark::internal::Benchmark* benchmark) {
  for (const auto& [side, channels] : std::vector<std::pair<int, int>>{{64, 128},
                                                                       {64, 256},
                                                                       {64, 384},
                                                                       {32, 128},
                                                                       {32, 256},
                                                                       {32, 384},
                                                                       {32, 512},
                                                                       {16, 256},
                                                                       {16, 384},
                                                                       {16, 512},
                                                                       {8, 256},
                                                                       {8, 512},
                                                                       {8, 768},
                                                                       {4, 256},
                                                                       {4, 512},
                                                                       {4, 1024}})
    benchmark->Args({side, channels});
  benchmark->UseManualTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(forward, plain, 0.0)->Apply(shapes);
BENCHMARK_CAPTURE(forward, dropout, 0.1)->Apply(shapes);
BENCHMARK(naive_forward)->Apply(shapes);
BENCHMARK_CAPTURE(backward, plain, 0.0)->Apply(shapes);
BENCHMARK_CAPTURE(backward, dropout, 0.1)->Apply(shapes);
BENCHMARK(naive_backward)->Apply(shapes);

}  // namespace
}  // namespace ddpm
