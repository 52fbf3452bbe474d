// GroupNorm + SiLU in bf16 at the shapes of ddim-celeba-64 and ddpm-cifar10-32 (batch 128) and
// ddpm-celebahq-256 (batch 16), alone, with the network's fusions, and next to the naive kernels. Arguments:
// image side, channels, batch.
#include <algorithm>
#include <vector>

#include "bench/kernels/gpu_benchmark.h"
#include "bench/kernels/naive_group_norm.h"
#include "kernels/cuda/kernels.h"
#include "kernels/random.h"

namespace ddpm {
namespace {

// The operations fused into the kernel.
enum class Sources : uint8_t {
  kOne,
  kTwo,  // two sources with half the channels each: a block on the way up
};
enum class Shift : uint8_t {
  kNone,
  kTimeAndBias,  // a residual block's second normalization
  kFilmAndBias,  // the same with --time-modulation scale_shift
};
enum class Addend : uint8_t {
  kNone,
  kResidual,  // adds the gradient that bypasses the block
};
struct Variant {
  Sources sources = Sources::kOne;
  Shift shift = Shift::kNone;
  Addend addend = Addend::kNone;
  double dropout = 0;
  cuda::GroupNormTuning tuning{};
};

GroupNormParams shape_of(const benchmark::State& state, const Variant& variant) {
  const int side = static_cast<int>(state.range(0)), channels = static_cast<int>(state.range(1));
  const int skip_channels = variant.sources == Sources::kTwo ? channels / 2 : 0;
  return {.n = static_cast<int>(state.range(2)),
          .pixels = side * side,
          .x_channels = channels - skip_channels,
          .skip_channels = skip_channels,
          .groups = 32,
          .activation = Activation::kSilu,
          .shift_stride = variant.shift == Shift::kTimeAndBias ? channels : 0,
          .film_stride = variant.shift == Shift::kFilmAndBias ? 2 * channels : 0,
          .dropout = variant.dropout,
          .dropout_stream = static_cast<uint32_t>(RandomStream::kDropout)};
}

struct Tensors {
  Tensors(const GroupNormParams& group_norm_shape, const Variant& what)
      : params(group_norm_shape),
        variant(what),
        x(random_buffer<BFloat16>(source_elements(params.x_channels))),
        skip(random_buffer<BFloat16>(source_elements(params.skip_channels))),
        dy(random_buffer<BFloat16>(params.elements())),
        addend(
            random_buffer<BFloat16>(what.addend == Addend::kNone ? 0 : source_elements(params.x_channels))),
        y(static_cast<size_t>(params.elements())),
        shift(random_buffer<BFloat16>(int64_t{params.n} * params.channels())),
        dshift(static_cast<size_t>(int64_t{params.n} * params.channels())),
        film(random_buffer<BFloat16>(2 * int64_t{params.n} * params.channels())),
        dfilm(static_cast<size_t>(2 * int64_t{params.n} * params.channels())),
        bias(random_buffer<float>(params.channels())),
        gamma(random_buffer<float>(params.channels())),
        beta(random_buffer<float>(params.channels())),
        dbias(random_buffer<float>(params.channels())),
        dgamma(random_buffer<float>(params.channels())),
        dbeta(random_buffer<float>(params.channels())),
        mean(random_buffer<float>(int64_t{params.n} * params.groups)),
        rstd(random_buffer<float>(int64_t{params.n} * params.groups)),
        step(1),
        scratch(std::max(cuda::group_norm_scratch_bytes(params),
                         cuda::group_norm_backward_scratch_bytes(params, what.tuning))) {
    const Stream stream;
    fill_bytes(step.span(), 0, stream);
    stream.synchronize();
  }

  GroupNormArgs<BFloat16, float> forward() const {
    return {.x = x.data(),
            .skip = skip.data(),
            .shift = only(Shift::kTimeAndBias, shift),
            .bias = with_bias(bias),
            .gamma = gamma.data(),
            .beta = beta.data(),
            .film = only(Shift::kFilmAndBias, film),
            .y = y.data(),
            .mean = mean.data(),
            .rstd = rstd.data(),
            .dropout = {1, step.data()}};
  }
  GroupNormBackwardArgs<BFloat16, float> backward() const {
    return {.dy = dy.data(),
            .x = x.data(),
            .skip = skip.data(),
            .shift = only(Shift::kTimeAndBias, shift),
            .bias = with_bias(bias),
            .gamma = gamma.data(),
            .beta = beta.data(),
            .film = only(Shift::kFilmAndBias, film),
            .mean = mean.data(),
            .rstd = rstd.data(),
            .dx_addends = {addend.data(), nullptr},
            .dskip_addends = {},
            .dx = y.data(),
            .dskip = params.skip_channels == 0 ? nullptr : y.data() + source_elements(params.x_channels),
            .dshift = only(Shift::kTimeAndBias, dshift),
            .dbias = with_bias(dbias),
            .dgamma = dgamma.data(),
            .dbeta = dbeta.data(),
            .dfilm = only(Shift::kFilmAndBias, dfilm),
            .dropout = {1, step.data()}};
  }

  int64_t source_elements(int channels) const { return int64_t{params.n} * params.pixels * channels; }
  // The bias of the preceding convolution; null if there is none.
  float* with_bias(const DeviceBuffer<float>& buffer) const {
    return variant.shift == Shift::kNone ? nullptr : buffer.data();
  }
  // Null in variants of another shift.
  template <typename T>
  T* only(Shift shift_of_buffer, const DeviceBuffer<T>& buffer) const {
    return variant.shift == shift_of_buffer ? buffer.data() : nullptr;
  }

  GroupNormParams params;
  Variant variant;
  DeviceBuffer<BFloat16> x, skip, dy, addend, y, shift, dshift, film, dfilm;
  DeviceBuffer<float> bias, gamma, beta, dbias, dgamma, dbeta, mean, rstd;
  DeviceBuffer<int64_t> step;
  DeviceBuffer<std::byte> scratch;
};

void group_norm(benchmark::State& state, const Variant& variant) {
  const Tensors tensors(shape_of(state, variant), variant);
  GpuBenchmark::run(state, cost(tensors.params, sizeof(BFloat16)), [&](StreamView stream) {
    cuda::group_norm<BFloat16>(tensors.params, tensors.forward(), tensors.scratch.data(), stream,
                               variant.tuning);
  });
}

void group_norm_backward(benchmark::State& state, const Variant& variant) {
  const Tensors tensors(shape_of(state, variant), variant);
  Cost ideal = backward_cost(tensors.params, sizeof(BFloat16));
  ideal.bytes += sizeof(BFloat16) * static_cast<double>(tensors.addend.size());
  GpuBenchmark::run(state, ideal, [&](StreamView stream) {
    cuda::group_norm_backward<BFloat16>(tensors.params, tensors.backward(), tensors.scratch.data(), stream,
                                        variant.tuning);
  });
}

void naive_group_norm(benchmark::State& state) {
  const Tensors tensors(shape_of(state, {}), {});
  GpuBenchmark::run(state, cost(tensors.params, sizeof(BFloat16)),
                    [&](StreamView stream) { naive::group_norm(tensors.params, tensors.forward(), stream); });
}

void naive_group_norm_backward(benchmark::State& state) {
  const Tensors tensors(shape_of(state, {}), {});
  GpuBenchmark::run(state, backward_cost(tensors.params, sizeof(BFloat16)), [&](StreamView stream) {
    naive::group_norm_backward(tensors.params, tensors.backward(), stream);
  });
}

using Arguments = std::vector<std::vector<int64_t>>;

void set_up(benchmark::internal::Benchmark* benchmark, const Arguments& arguments) {
  for (const std::vector<int64_t>& one : arguments) benchmark->Args(one);
  GpuBenchmark::settings(benchmark);
}

// Sides 64 to 4: ddim-celeba-64; 32 to 4: ddpm-cifar10-32; 256 and 128: ddpm-celebahq-256.
void all_shapes(benchmark::internal::Benchmark* benchmark) {
  set_up(benchmark, {{256, 128, 16}, {256, 256, 16}, {128, 128, 16}, {128, 256, 16}, {64, 128, 128},
                     {64, 256, 128}, {64, 384, 128}, {32, 128, 128}, {32, 256, 128}, {32, 384, 128},
                     {32, 512, 128}, {16, 256, 128}, {16, 384, 128}, {16, 512, 128}, {8, 256, 128},
                     {8, 512, 128},  {8, 768, 128},  {4, 256, 128},  {4, 512, 128},  {4, 1024, 128}});
}
void one_source_shapes(benchmark::internal::Benchmark* benchmark) {
  set_up(benchmark,
         {{256, 128, 16}, {64, 128, 128}, {32, 256, 128}, {16, 256, 128}, {8, 256, 128}, {4, 512, 128}});
}
void two_source_shapes(benchmark::internal::Benchmark* benchmark) {
  set_up(benchmark, {{256, 256, 16},
                     {64, 256, 128},
                     {64, 384, 128},
                     {32, 512, 128},
                     {16, 512, 128},
                     {8, 768, 128},
                     {4, 1024, 128}});
}

// The cases that GroupNormTuning affects.
void large_shapes(benchmark::internal::Benchmark* benchmark) {
  set_up(benchmark, {{256, 128, 16}, {128, 256, 16}, {64, 128, 128}, {64, 256, 128}, {64, 384, 128}});
}

constexpr Variant kPlain{};
constexpr Variant kDropout{.dropout = 0.1};
constexpr Variant kShift{.shift = Shift::kTimeAndBias, .dropout = 0.1};
constexpr Variant kFilm{.shift = Shift::kFilmAndBias, .dropout = 0.1};
constexpr Variant kTwoSources{.sources = Sources::kTwo, .addend = Addend::kResidual};

BENCHMARK_CAPTURE(group_norm, ours, kPlain)->Apply(all_shapes);
BENCHMARK(naive_group_norm)->Name("group_norm/naive")->Apply(all_shapes);
BENCHMARK_CAPTURE(group_norm, dropout, kDropout)->Apply(one_source_shapes);
BENCHMARK_CAPTURE(group_norm, shift_dropout, kShift)->Apply(one_source_shapes);
BENCHMARK_CAPTURE(group_norm, film_dropout, kFilm)->Apply(one_source_shapes);
BENCHMARK_CAPTURE(group_norm, two_sources, kTwoSources)->Apply(two_source_shapes);
BENCHMARK_CAPTURE(group_norm_backward, ours, kPlain)->Apply(all_shapes);
BENCHMARK(naive_group_norm_backward)->Name("group_norm_backward/naive")->Apply(all_shapes);
BENCHMARK_CAPTURE(group_norm_backward, dropout, kDropout)->Apply(one_source_shapes);
BENCHMARK_CAPTURE(group_norm_backward, shift_dropout, kShift)->Apply(one_source_shapes);
BENCHMARK_CAPTURE(group_norm_backward, film_dropout, kFilm)->Apply(one_source_shapes);
BENCHMARK_CAPTURE(group_norm_backward, two_sources_addend, kTwoSources)->Apply(two_source_shapes);

constexpr size_t kMiB = size_t{1} << 20;
constexpr Variant kRange8{.tuning = {.range_bytes = 8 * kMiB}};
constexpr Variant kRange32{.tuning = {.range_bytes = 32 * kMiB}};
constexpr Variant kOneRange{.tuning = {.range_bytes = size_t{1} << 40}};
constexpr Variant kWholeSectors{.tuning = {.least_row_bytes = 32}};
constexpr Variant kWholeSectors32{.tuning = {.range_bytes = 32 * kMiB, .least_row_bytes = 32}};
constexpr Variant kWholeSectorsOneRange{.tuning = {.range_bytes = size_t{1} << 40, .least_row_bytes = 32}};

BENCHMARK_CAPTURE(group_norm, range_8_mib, kRange8)->Apply(large_shapes);
BENCHMARK_CAPTURE(group_norm, range_32_mib, kRange32)->Apply(large_shapes);
BENCHMARK_CAPTURE(group_norm, one_range, kOneRange)->Apply(large_shapes);
BENCHMARK_CAPTURE(group_norm_backward, range_8_mib, kRange8)->Apply(large_shapes);
BENCHMARK_CAPTURE(group_norm_backward, range_32_mib, kRange32)->Apply(large_shapes);
BENCHMARK_CAPTURE(group_norm_backward, one_range, kOneRange)->Apply(large_shapes);
BENCHMARK_CAPTURE(group_norm_backward, whole_sectors, kWholeSectors)->Apply(large_shapes);
BENCHMARK_CAPTURE(group_norm_backward, whole_sectors_range_32_mib, kWholeSectors32)->Apply(large_shapes);
BENCHMARK_CAPTURE(group_norm_backward, whole_sectors_one_range, kWholeSectorsOneRange)->Apply(large_shapes);

}  // namespace
}  // namespace ddpm
