// The kernels around convolutions and GEMMs, one element per thread.
#include "bench/kernels/naive_kernels.h"
#include "device/launch.h"

namespace ddpm::naive {
namespace {

constexpr int kThreads = 256;

__device__ int64_t thread_index() { return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; }

LaunchConfig one_thread_each(int64_t count, StreamView stream) {
  return {.grid = ceil_div(count, kThreads), .block = kThreads, .stream = stream};
}

__global__ void add_kernel(int64_t count, const BFloat16* a, const BFloat16* b, BFloat16* y) {
  const int64_t i = thread_index();
  if (i < count) y[i] = to_bfloat16(to_float(a[i]) + to_float(b[i]));
}

__global__ void accumulate_kernel(int64_t count, const BFloat16* from, float* to) {
  const int64_t i = thread_index();
  if (i < count) to[i] += to_float(from[i]);
}

__global__ void silu_kernel(int64_t count, const BFloat16* x, BFloat16* y) {
  const int64_t i = thread_index();
  if (i < count) y[i] = to_bfloat16(to_float(x[i]) / (1 + expf(-to_float(x[i]))));
}

__global__ void broadcast_bias_kernel(int64_t count, int channels, const BFloat16* bias,
                                      const BFloat16* residual, BFloat16* y) {
  const int64_t i = thread_index();
  if (i >= count) return;
  y[i] = to_bfloat16(to_float(bias[i % channels]) + (residual == nullptr ? 0 : to_float(residual[i])));
}

__global__ void bias_gradient_kernel(int64_t rows, int channels, const BFloat16* dy, float* dbias) {
  const int64_t k = thread_index();
  if (k >= channels) return;
  float sum = 0;
  for (int64_t row = 0; row < rows; ++row) sum += to_float(dy[row * channels + k]);
  dbias[k] += sum;
}

__global__ void upsample_kernel(int64_t count, int h, int w, int c, const BFloat16* x, BFloat16* y) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t k = i % c, column = i / c % (2 * w), row = i / c / (2 * w) % (2 * h),
                image = i / c / (2 * w) / (2 * h);
  y[i] = x[((image * h + row / 2) * w + column / 2) * c + k];
}

__global__ void sum_pool_kernel(int64_t count, int h, int w, int c, const BFloat16* x, BFloat16* y) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t k = i % c, column = i / c % w, row = i / c / w % h, image = i / c / w / h;
  float sum = 0;
  for (int a = 0; a < 2; ++a)
    for (int b = 0; b < 2; ++b)
      sum += to_float(x[((image * 2 * h + 2 * row + a) * 2 * w + 2 * column + b) * c + k]);
  y[i] = to_bfloat16(sum);
}

__global__ void pad_kernel(int64_t count, int h, int w, int c, const BFloat16* x, BFloat16* y) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t k = i % c, column = i / c % (w + 1), row = i / c / (w + 1) % (h + 1),
                image = i / c / (w + 1) / (h + 1);
  const bool inside = row < h && column < w;
  y[i] = inside ? x[((image * h + row) * w + column) * c + k] : to_bfloat16(0);
}

// A of UpsampleConv2dShape::folded().
__device__ bool is_summed(int64_t folded_tap, int tap) {
  return folded_tap < 2 ? tap >= 2 - folded_tap : tap <= 3 - folded_tap;
}

// folded (C, 4, 4, K) from weight (K, 3, 3, C).
__global__ void fold_kernel(int64_t count, int k, int c, const BFloat16* weight, BFloat16* folded) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t out = i % k, b = i / k % 4, a = i / k / 4 % 4, in = i / k / 16;
  float sum = 0;
  for (int r = 0; r < 3; ++r)
    for (int s = 0; s < 3; ++s)
      if (is_summed(a, r) && is_summed(b, s)) sum += to_float(weight[((out * 3 + r) * 3 + s) * c + in]);
  folded[i] = to_bfloat16(sum);
}

__global__ void unfold_kernel(int64_t count, int k, int c, const BFloat16* dfolded, float* dweight) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t in = i % c, s = i / c % 3, r = i / c / 3 % 3, out = i / c / 9;
  float sum = 0;
  for (int a = 0; a < 4; ++a)
    for (int b = 0; b < 4; ++b)
      if (is_summed(a, static_cast<int>(r)) && is_summed(b, static_cast<int>(s)))
        sum += to_float(dfolded[((in * 4 + a) * 4 + b) * k + out]);
  dweight[i] += sum;
}

__global__ void transpose_kernel(int64_t count, int c, int64_t pixels, const BFloat16* from, BFloat16* to) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t channel = i % c, pixel = i / c % pixels, image = i / c / pixels;
  to[i] = from[(image * c + channel) * pixels + pixel];
}

}  // namespace

void add(int64_t count, const BFloat16* a, const BFloat16* b, BFloat16* y, StreamView stream) {
  launch(add_kernel, one_thread_each(count, stream), count, a, b, y);
}

void accumulate(int64_t count, const BFloat16* from, float* to, StreamView stream) {
  launch(accumulate_kernel, one_thread_each(count, stream), count, from, to);
}

void silu(int64_t count, const BFloat16* x, BFloat16* y, StreamView stream) {
  launch(silu_kernel, one_thread_each(count, stream), count, x, y);
}

void broadcast_bias(int64_t rows, int channels, const BFloat16* bias, const BFloat16* residual, BFloat16* y,
                    StreamView stream) {
  const int64_t count = rows * channels;
  launch(broadcast_bias_kernel, one_thread_each(count, stream), count, channels, bias, residual, y);
}

void bias_gradient(int64_t rows, int channels, const BFloat16* dy, float* dbias, StreamView stream) {
  launch(bias_gradient_kernel, one_thread_each(channels, stream), rows, channels, dy, dbias);
}

void upsample_nearest(const ResampleParams& shape, const ResampleArgs<BFloat16>& args, StreamView stream) {
  launch(upsample_kernel, one_thread_each(shape.large_elements(), stream), shape.large_elements(), shape.h,
         shape.w, shape.c, args.x, args.y);
}

void sum_pool(const ResampleParams& shape, const ResampleArgs<BFloat16>& args, StreamView stream) {
  launch(sum_pool_kernel, one_thread_each(shape.small_elements(), stream), shape.small_elements(), shape.h,
         shape.w, shape.c, args.x, args.y);
}

void pad_after(int n, int h, int w, int c, const BFloat16* x, BFloat16* y, StreamView stream) {
  const int64_t count = int64_t{n} * (h + 1) * (w + 1) * c;
  launch(pad_kernel, one_thread_each(count, stream), count, h, w, c, x, y);
}

void fold_upsample_weight(int k, int c, const BFloat16* weight, BFloat16* folded, StreamView stream) {
  const int64_t count = int64_t{16} * k * c;
  launch(fold_kernel, one_thread_each(count, stream), count, k, c, weight, folded);
}

void unfold_upsample_gradient(int k, int c, const BFloat16* dfolded, float* dweight, StreamView stream) {
  const int64_t count = int64_t{9} * k * c;
  launch(unfold_kernel, one_thread_each(count, stream), count, k, c, dfolded, dweight);
}

void nchw_to_nhwc(int n, int c, int h, int w, const BFloat16* from, BFloat16* to, StreamView stream) {
  const int64_t pixels = int64_t{h} * w;
  launch(transpose_kernel, one_thread_each(n * pixels * c, stream), n * pixels * c, c, pixels, from, to);
}

}  // namespace ddpm::naive
