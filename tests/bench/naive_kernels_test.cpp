// The naive baseline kernels give the results of our kernels and write nothing else: in the emulator,
// on small shapes.
#include "bench/kernels/naive_kernels.h"

#include <cmath>
#include <memory>
#include <tuple>

#include "bench/kernels/naive_group_norm.h"
#include "kernels/cuda/kernels.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

using reference::random_values;

std::vector<BFloat16> reals(int64_t count, uint64_t seed) {
  return rounded<BFloat16>(random_values(count, seed));
}
std::vector<float> floats(int64_t count, uint64_t seed) { return rounded<float>(random_values(count, seed)); }

// Compares one result of both kernels. Both compute it in float from the same inputs and round it to bf16
// once: they differ by one unit of bf16, plus a few units of float where sums of up to a hundred values of at
// most one are added in another order (`slack`).
template <typename T, typename Run>
void expect_alike(const char* what, const std::vector<T>& initial, const Run& run, double slack = 0x1p-18) {
  const Stream stream;
  const Guarded<T> ours(initial, stream), baseline(initial, stream);
  run(Kind::kOurs, ours.data(), stream.view());
  run(Kind::kNaive, baseline.data(), stream.view());
  const std::vector<double> expected = widened(ours.values(stream));
  expect_within(what, widened(baseline.values(stream)), expected, [&](size_t i) {
    return slack + (sizeof(T) == 2 ? 0x1p-7 : 0x1p-18) * std::abs(expected[i]);
  });
}

class NaiveKernels : public testing::Test {
 protected:
  template <typename T>
  const T* on_device(const std::vector<T>& values) {
    return on_device_of<T>().emplace_back(std::make_unique<Guarded<T>>(values, stream.view()))->data();
  }
  const Stream stream;

 private:
  template <typename T>
  auto& on_device_of() {
    return std::get<std::vector<std::unique_ptr<Guarded<T>>>>(buffers_);
  }
  std::tuple<std::vector<std::unique_ptr<Guarded<BFloat16>>>, std::vector<std::unique_ptr<Guarded<float>>>,
             std::vector<std::unique_ptr<Guarded<int64_t>>>, std::vector<std::unique_ptr<Guarded<uint8_t>>>,
             std::vector<std::unique_ptr<Guarded<SamplerRow<float>>>>>
      buffers_;
};

TEST_F(NaiveKernels, Elementwise) {
  constexpr int64_t kRows = 70;
  constexpr int kChannels = 8;
  constexpr int64_t kCount = kRows * kChannels;
  const auto* a = on_device(reals(kCount, 1));
  const auto* b = on_device(reals(kCount, 2));
  const auto* bias = on_device(reals(kChannels, 3));
  const DeviceBuffer<std::byte> scratch(cuda::bias_gradient_scratch_bytes(kRows, kChannels));
  expect_alike("add", reals(kCount, 4), [&](Kind kind, BFloat16* y, StreamView on) {
    kind == Kind::kNaive ? naive::add(kCount, a, b, y, on) : cuda::add(kCount, a, b, y, on);
  });
  expect_alike("accumulate", floats(kCount, 4), [&](Kind kind, float* y, StreamView on) {
    kind == Kind::kNaive ? naive::accumulate(kCount, a, y, on) : cuda::accumulate(kCount, a, y, on);
  });
  expect_alike("silu", reals(kCount, 4), [&](Kind kind, BFloat16* y, StreamView on) {
    kind == Kind::kNaive ? naive::silu(kCount, a, y, on) : cuda::silu(kCount, a, y, on);
  });
  expect_alike("broadcast_bias", reals(kCount, 4), [&](Kind kind, BFloat16* y, StreamView on) {
    kind == Kind::kNaive ? naive::broadcast_bias(kRows, kChannels, bias, b, y, on)
                         : cuda::broadcast_bias(kRows, kChannels, bias, b, y, on);
  });
  expect_alike("bias_gradient", floats(kChannels, 4), [&](Kind kind, float* y, StreamView on) {
    kind == Kind::kNaive ? naive::bias_gradient(kRows, kChannels, a, y, on)
                         : cuda::bias_gradient(kRows, kChannels, a, {y}, scratch.data(), on);
  });
}

TEST_F(NaiveKernels, Resampling) {
  constexpr ResampleParams kShape{.n = 2, .h = 3, .w = 5, .c = 8};
  const auto* small = on_device(reals(kShape.small_elements(), 1));
  const auto* large = on_device(reals(kShape.large_elements(), 2));
  expect_alike("upsample_nearest", reals(kShape.large_elements(), 3),
               [&](Kind kind, BFloat16* y, StreamView on) {
                 const ResampleArgs<BFloat16> args{small, nullptr, y};
                 kind == Kind::kNaive ? naive::upsample_nearest(kShape, args, on)
                                      : cuda::upsample_nearest(kShape, args, on);
               });
  expect_alike("sum_pool", reals(kShape.small_elements(), 3), [&](Kind kind, BFloat16* y, StreamView on) {
    const ResampleArgs<BFloat16> args{large, nullptr, y};
    kind == Kind::kNaive ? naive::sum_pool(kShape, args, on) : cuda::sum_pool(kShape, args, on);
  });
  expect_alike("pad_after", reals(2 * 4 * 6 * 8, 3), [&](Kind kind, BFloat16* y, StreamView on) {
    kind == Kind::kNaive ? naive::pad_after(2, 3, 5, 8, small, y, on)
                         : cuda::pad_after(2, 3, 5, 8, small, y, on);
  });
  expect_alike("nchw_to_nhwc", reals(kShape.small_elements(), 3), [&](Kind kind, BFloat16* y, StreamView on) {
    kind == Kind::kNaive ? naive::nchw_to_nhwc(2, 8, 3, 5, small, y, on)
                         : cuda::nchw_to_nhwc(2, 8, 3, 5, small, y, on);
  });
}

TEST_F(NaiveKernels, UpsampleWeights) {
  constexpr int kK = 8, kC = 16;
  const auto* weight = on_device(reals(int64_t{9} * kK * kC, 1));
  const auto* folded = on_device(reals(int64_t{16} * kK * kC, 2));
  expect_alike("fold_upsample_weight", reals(int64_t{16} * kK * kC, 3),
               [&](Kind kind, BFloat16* y, StreamView on) {
                 kind == Kind::kNaive ? naive::fold_upsample_weight(kK, kC, weight, y, on)
                                      : cuda::fold_upsample_weight(kK, kC, weight, y, on);
               });
  expect_alike("unfold_upsample_gradient", floats(int64_t{9} * kK * kC, 3),
               [&](Kind kind, float* y, StreamView on) {
                 kind == Kind::kNaive ? naive::unfold_upsample_gradient(kK, kC, folded, y, on)
                                      : cuda::unfold_upsample_gradient(kK, kC, folded, y, on);
               });
}

TEST_F(NaiveKernels, Softmax) {
  constexpr SoftmaxParams kShape{5, 264, 0.5};
  const auto* x = on_device(reals(kShape.elements(), 1));
  const auto* dp = on_device(reals(kShape.elements(), 2));
  expect_alike("softmax", reals(kShape.elements(), 3), [&](Kind kind, BFloat16* y, StreamView on) {
    kind == Kind::kNaive ? naive::softmax(kShape, {x, y}, on) : cuda::softmax<BFloat16>(kShape, {x, y}, on);
  });
  expect_alike("softmax_backward", reals(kShape.elements(), 3), [&](Kind kind, BFloat16* y, StreamView on) {
    kind == Kind::kNaive ? naive::softmax_backward(kShape, {x, dp, y}, on)
                         : cuda::softmax_backward<BFloat16>(kShape, {x, dp, y}, on);
  });
}

TEST_F(NaiveKernels, TimeEmbedding) {
  constexpr TimeEmbeddingParams kShape{.n = 3, .channels = 16};
  const auto* t = on_device(std::vector<float>{0, 1, 20});  // small angles are accurate in float
  expect_alike("time_embedding", reals(3 * 16, 1), [&](Kind kind, BFloat16* y, StreamView on) {
    const TimeEmbeddingArgs<BFloat16, float> args{t, nullptr, y};
    kind == Kind::kNaive ? naive::time_embedding(kShape, args, on) : cuda::time_embedding(kShape, args, on);
  });
}

TEST_F(NaiveKernels, Sampling) {
  constexpr SamplerStepParams kShape{.n = 2, .h = 16, .w = 16, .c = 3, .steps = 2};
  SamplerRow<float> row{};
  row.x0_from_x = 1.25F;
  row.x0_from_output = -0.75F;
  row.clip_range = 1;
  row.noise = 0.1F;
  row.x.x = row.x.x0 = 0.5F;
  const auto* table = on_device(std::vector<SamplerRow<float>>{row, row});
  const auto* zero = on_device(std::vector<int64_t>{0});
  const auto* output = on_device(reals(kShape.elements(), 1));
  const auto* outputs = on_device(reals(2 * kShape.elements(), 2));
  const auto* x = on_device(floats(kShape.elements(), 3));
  const Guarded<BFloat16> network_input(kShape.elements(), stream);
  const Guarded<float> t(kShape.n, stream);
  expect_alike("sampler_step", floats(kShape.elements(), 4), [&](Kind kind, float* state, StreamView on) {
    const SamplerStepArgs<BFloat16, float> args{
        output, table, zero, zero, state, nullptr, nullptr, network_input.data(), t.data()};
    kind == Kind::kNaive ? naive::sampler_step(kShape, args, on) : cuda::sampler_step(kShape, args, on);
  });
  expect_alike("guidance", reals(kShape.elements(), 4), [&](Kind kind, BFloat16* y, StreamView on) {
    const GuidanceParams params{.n = kShape.n, .pixels = 256, .scale = 3};
    kind == Kind::kNaive ? naive::guidance(params, {outputs, y}, on)
                         : cuda::guidance<BFloat16>(params, {outputs, y}, on);
  });
  // Bisection ends at an order statistic, ours interpolates between two: 768 values up to 2 are a
  // few thousandths apart.
  expect_alike(
      "dynamic_threshold", floats(kShape.n, 4),
      [&](Kind kind, float* threshold, StreamView on) {
        const DynamicThresholdParams params{.step = kShape, .ratio = 0.9, .max_value = 10};
        const DynamicThresholdArgs<BFloat16, float> args{output, table, zero, x, threshold};
        kind == Kind::kNaive ? naive::dynamic_threshold(params, args, on)
                             : cuda::dynamic_threshold(params, args, on);
      },
      0.02);
}

TEST_F(NaiveKernels, BothEndsOfATrainingStep) {
  constexpr DiffusionParams kShape{
      .n = 3, .h = 8, .w = 8, .c = 3, .dataset_count = 5, .timesteps = 4, .seed = 1};
  const auto* dataset = on_device(std::vector<uint8_t>(5 * 8 * 8 * 3, 100));
  const auto* signal = on_device(std::vector<float>{0.9F, 0.7F, 0.5F, 0.3F});
  const auto* noise = on_device(std::vector<float>{0.1F, 0.3F, 0.5F, 0.7F});
  const auto* step = on_device(std::vector<int64_t>{7});
  const auto* prediction = on_device(reals(kShape.elements(), 1));
  const DeviceBuffer<std::byte> scratch(
      std::max(cuda::loss_scratch_bytes(kShape), cuda::diffuse_scratch_bytes(kShape)));
  // The naive kernel uses the times drawn by ours.
  const Guarded<float> t(kShape.n, stream), image_loss(kShape.n, stream);
  expect_alike("diffuse", reals(kShape.elements(), 2), [&](Kind kind, BFloat16* x_t, StreamView on) {
    const DiffuseArgs<BFloat16, float> args{dataset, signal, noise, step, x_t, t.data(), nullptr};
    kind == Kind::kNaive ? naive::diffuse(kShape, args, on) : cuda::diffuse(kShape, args, scratch.data(), on);
    on.synchronize();
  });
  expect_alike("loss", reals(kShape.elements(), 2), [&](Kind kind, BFloat16* gradient, StreamView on) {
    const LossArgs<BFloat16, float> args{prediction, dataset,  signal,           noise, nullptr, t.data(),
                                         step,       gradient, image_loss.data()};
    kind == Kind::kNaive ? naive::loss(kShape, args, on) : cuda::loss(kShape, args, scratch.data(), on);
    on.synchronize();
  });
}

TEST_F(NaiveKernels, AdamEma) {
  AdamParams params{.count = 1024};
  params.clip_norm = 0;  // the baseline does not clip
  const auto* step = on_device(std::vector<int64_t>{1000});
  const auto* gradients = on_device(floats(params.count, 1));
  const DeviceBuffer<std::byte> scratch(cuda::adam_ema_scratch_bytes(params));
  const Guarded<float> norm(1, stream), rate(1, stream);
  expect_alike("adam_ema", floats(params.count, 2), [&](Kind kind, float* parameters, StreamView on) {
    const Guarded<float> m(floats(params.count, 3), on), ema(floats(params.count, 4), on),
        v(std::vector<float>(static_cast<size_t>(params.count), 0.5F), on);
    const Guarded<BFloat16> weights(params.count, on);
    const AdamEmaArgs<float> args{step,     gradients,  parameters,  m.data(),
                                  v.data(), ema.data(), norm.data(), rate.data()};
    kind == Kind::kNaive ? naive::adam_ema(params, args, weights.data(), on)
                         : cuda::adam_ema(params, args, weights.data(), scratch.data(), on);
    on.synchronize();
  });
}

TEST_F(NaiveKernels, GroupNorm) {
  constexpr GroupNormParams kShape{
      .n = 2, .pixels = 16, .x_channels = 64, .groups = 8, .activation = Activation::kSilu};
  const auto* x = on_device(reals(kShape.elements(), 1));
  const auto* dy = on_device(reals(kShape.elements(), 2));
  const auto* gamma = on_device(floats(64, 3));
  const auto* beta = on_device(floats(64, 4));
  const DeviceBuffer<std::byte> scratch(
      std::max(cuda::group_norm_scratch_bytes(kShape), cuda::group_norm_backward_scratch_bytes(kShape)));
  const Guarded<float> mean(16, stream), rstd(16, stream), dgamma(floats(64, 5), stream),
      dbeta(floats(64, 6), stream);
  expect_alike("group_norm", reals(kShape.elements(), 7), [&](Kind kind, BFloat16* y, StreamView on) {
    const GroupNormArgs<BFloat16, float> args{.x = x,
                                              .skip = nullptr,
                                              .shift = nullptr,
                                              .bias = nullptr,
                                              .gamma = gamma,
                                              .beta = beta,
                                              .film = nullptr,
                                              .y = y,
                                              .mean = mean.data(),
                                              .rstd = rstd.data(),
                                              .dropout = {}};
    kind == Kind::kNaive ? naive::group_norm(kShape, args, on)
                         : cuda::group_norm(kShape, args, scratch.data(), on);
    on.synchronize();
  });
  // Between its passes ours stores dy SiLU' in bf16: half a unit of values up to 4.
  expect_alike(
      "group_norm_backward", reals(kShape.elements(), 7),
      [&](Kind kind, BFloat16* dx, StreamView on) {
        const GroupNormBackwardArgs<BFloat16, float> args{.dy = dy,
                                                          .x = x,
                                                          .skip = nullptr,
                                                          .shift = nullptr,
                                                          .bias = nullptr,
                                                          .gamma = gamma,
                                                          .beta = beta,
                                                          .film = nullptr,
                                                          .mean = mean.data(),
                                                          .rstd = rstd.data(),
                                                          .dx_addends = {},
                                                          .dskip_addends = {},
                                                          .dx = dx,
                                                          .dskip = nullptr,
                                                          .dshift = nullptr,
                                                          .dbias = nullptr,
                                                          .dgamma = dgamma.data(),
                                                          .dbeta = dbeta.data(),
                                                          .dfilm = nullptr,
                                                          .dropout = {}};
        kind == Kind::kNaive ? naive::group_norm_backward(kShape, args, on)
                             : cuda::group_norm_backward(kShape, args, scratch.data(), on);
        on.synchronize();
      },
      4 * 0x1p-9);
}

}  // namespace
}  // namespace ddpm
