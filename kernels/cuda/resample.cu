// Images (N,H,W,C) resampled by 2, padded or cropped by one row and column, and scaled; indices
// as one-hot rows.
#include <algorithm>
#include <cstdint>

#include "device/launch.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/kernels.h"

namespace ddpm::cuda {
namespace {

constexpr int kMaxThreads = 256;
constexpr int kUnroll = 4;  // vectors that a thread keeps in flight

// One block per row of an image: `vectors` of them, kUnroll per thread in each iteration.
LaunchConfig one_block_a_row(int64_t rows, int vectors, StreamView stream) {
  const int64_t warps = ceil_div(ceil_div(vectors, kUnroll), 32);
  return {.grid = rows, .block = std::min<int64_t>(kMaxThreads, 32 * warps), .stream = stream};
}

// The 2x2 pixels of the larger image that correspond to vector v of a row of the smaller one: offsets in
// elements from the start of the upper row.
template <int kWidth>
struct Quad {
  __device__ Quad(int v, int row_vectors, int pixel_vectors)
      : left((v + v / pixel_vectors * pixel_vectors) * kWidth),
        right(left + pixel_vectors * kWidth),
        next_row(2 * row_vectors * kWidth) {}
  int left;
  int right;
  int next_row;
};

// Math: y[2i+a,2j+b] = scale x[i,j] + residual[2i+a,2j+b] for a, b in {0,1}.
// Threads: a block takes a row of x; each thread loads up to kUnroll vectors of it and writes
// each four times.
// Shared: none.
// Traffic: x, residual and y once.
// Preconditions: a pixel is a whole number of kWidth elements; residual may be null or y.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kMaxThreads)
    upsample_kernel(int row_vectors, int pixel_vectors, float scale, const T* __restrict__ x,
                    const T* residual, T* y) {
  const int step = static_cast<int>(blockDim.x);
  const T* from = x + static_cast<int64_t>(blockIdx.x) * row_vectors * kWidth;
  const int64_t to = static_cast<int64_t>(blockIdx.x) * row_vectors * kWidth * 4;
  for (int first = static_cast<int>(threadIdx.x); first < row_vectors; first += step * kUnroll) {
    float values[kUnroll][kWidth];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int v = first + u * step;
      if (v < row_vectors) load_columns<kWidth>(from + v * kWidth, values[u]);
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int v = first + u * step;
      if (v >= row_vectors) break;
      const Quad<kWidth> quad(v, row_vectors, pixel_vectors);
      const int offsets[4] = {quad.left, quad.right, quad.next_row + quad.left, quad.next_row + quad.right};
#pragma unroll
      for (int pixel = 0; pixel < 4; ++pixel) {
        const int64_t at = to + offsets[pixel];
        float sum[kWidth] = {};
        if (residual != nullptr) load_columns<kWidth>(residual + at, sum);
#pragma unroll
        for (int k = 0; k < kWidth; ++k) sum[k] += scale * values[u][k];
        store_columns<kWidth>(y + at, sum);
      }
    }
  }
}

// Math: y[i,j] = scale (x[2i,2j] + x[2i,2j+1] + x[2i+1,2j] + x[2i+1,2j+1]) + residual[i,j], added
// in this order.
// Threads: a block takes a row of y; each thread one vector of it at a time, with five loads in flight.
// Shared: none.
// Traffic: x, residual and y once. 5 FLOPs per element of y.
// Preconditions: as above.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kMaxThreads)
    sum_pool_kernel(int row_vectors, int pixel_vectors, float scale, const T* __restrict__ x,
                    const T* residual, T* y) {
  const T* from = x + static_cast<int64_t>(blockIdx.x) * row_vectors * kWidth * 4;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * row_vectors * kWidth;
  for (int v = static_cast<int>(threadIdx.x); v < row_vectors; v += static_cast<int>(blockDim.x)) {
    const Quad<kWidth> quad(v, row_vectors, pixel_vectors);
    const int64_t at = row + v * kWidth;
    float values[4][kWidth];
    float sum[kWidth] = {};
    load_columns<kWidth>(from + quad.left, values[0]);
    load_columns<kWidth>(from + quad.right, values[1]);
    load_columns<kWidth>(from + quad.next_row + quad.left, values[2]);
    load_columns<kWidth>(from + quad.next_row + quad.right, values[3]);
    if (residual != nullptr) load_columns<kWidth>(residual + at, sum);
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      sum[k] += scale * (((values[0][k] + values[1][k]) + values[2][k]) + values[3][k]);
    store_columns<kWidth>(y + at, sum);
  }
}

// Math: copies the rows of `from` to rows of `to`, as much as both have, and fills the rest of
// `to` with zeros.
// Threads: a block takes a row of `to`.
// Shared: none.
// Traffic: `to` once, and the same part of `from`.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kMaxThreads)
    resize_kernel(int from_rows, int from_vectors, int to_rows, int to_vectors, const T* __restrict__ from,
                  T* __restrict__ to) {
  const int image = static_cast<int>(blockIdx.x) / to_rows;
  const int row = static_cast<int>(blockIdx.x) % to_rows;
  const int copied = row < from_rows ? from_vectors : 0;
  const T* source = from + (static_cast<int64_t>(image) * from_rows + row) * from_vectors * kWidth;
  T* target = to + static_cast<int64_t>(blockIdx.x) * to_vectors * kWidth;
  const int step = static_cast<int>(blockDim.x);
  for (int first = static_cast<int>(threadIdx.x); first < to_vectors; first += step * kUnroll) {
    float values[kUnroll][kWidth] = {};
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int v = first + u * step;
      if (v < to_vectors && v < copied) load_columns<kWidth>(source + v * kWidth, values[u]);
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int v = first + u * step;
      if (v < to_vectors) store_columns<kWidth>(target + v * kWidth, values[u]);
    }
  }
}

// Math: y[n,e] = (scale x[n,e] + offset) / divisor[n].
// Threads: (blocks of an image's vectors, image); one vector each.
// Shared: none.
// Traffic: x and y once.
// Preconditions: an image is a whole number of kWidth elements; y may be x.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kMaxThreads)
    rescale_kernel(int64_t vectors, float scale, float offset, const T* x, const float* __restrict__ divisor,
                   T* y) {
  const int64_t v = static_cast<int64_t>(blockIdx.x) * kMaxThreads + threadIdx.x;
  if (v >= vectors) return;
  const int64_t at = (blockIdx.y * vectors + v) * kWidth;
  const float by = divisor != nullptr ? divisor[blockIdx.y] : 1.0f;
  float values[kWidth];
  load_columns<kWidth>(x + at, values);
#pragma unroll
  for (int k = 0; k < kWidth; ++k) values[k] = (scale * values[k] + offset) / by;
  store_columns<kWidth>(y + at, values);
}

// Math: y[n,k] = 1 where k is index[n], else 0.
// Threads: one per element.
// Shared: none.
// Traffic: y once.
template <typename T>
__global__ void __launch_bounds__(kMaxThreads)
    one_hot_kernel(int64_t elements, int classes, const float* __restrict__ index, T* __restrict__ y) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kMaxThreads + threadIdx.x;
  if (at >= elements) return;
  const bool is_one = index[at / classes] == static_cast<float>(at % classes);
  y[at] = from_float<T>(is_one ? 1.0f : 0.0f);
}

// From (from_h, from_w) to (to_h, to_w), aligned at the upper left corner.
template <typename T>
void resize(int n, int c, int from_h, int from_w, int to_h, int to_w, const T* from, T* to,
            StreamView stream) {
  with_width<Packed<T>::kWidth>(c, [&](auto width) {
    const int pixel = c / width;
    launch(resize_kernel<width(), T>, one_block_a_row(int64_t{n} * to_h, to_w * pixel, stream), from_h,
           from_w * pixel, to_h, to_w * pixel, from, to);
  });
}

}  // namespace

template <typename T>
void upsample_nearest(const ResampleParams& shape, const ResampleArgs<T>& args, StreamView stream) {
  with_width<Packed<T>::kWidth>(shape.c, [&](auto width) {
    const int pixel = shape.c / width;
    launch(upsample_kernel<width(), T>, one_block_a_row(int64_t{shape.n} * shape.h, shape.w * pixel, stream),
           shape.w * pixel, pixel, shape.scale, args.x, args.residual, args.y);
  });
}

template <typename T>
void sum_pool(const ResampleParams& shape, const ResampleArgs<T>& args, StreamView stream) {
  with_width<Packed<T>::kWidth>(shape.c, [&](auto width) {
    const int pixel = shape.c / width;
    launch(sum_pool_kernel<width(), T>, one_block_a_row(int64_t{shape.n} * shape.h, shape.w * pixel, stream),
           shape.w * pixel, pixel, shape.scale, args.x, args.residual, args.y);
  });
}

template <typename T>
void pad_after(int n, int h, int w, int c, const T* x, T* y, StreamView stream) {
  resize(n, c, h, w, h + 1, w + 1, x, y, stream);
}

template <typename T>
void crop_after(int n, int h, int w, int c, const T* x, T* y, StreamView stream) {
  resize(n, c, h + 1, w + 1, h, w, x, y, stream);
}

template <typename T>
void rescale(const RescaleParams& shape, const RescaleArgs<T, float>& args, StreamView stream) {
  with_width<Packed<T>::kWidth>(shape.elements, [&](auto width) {
    const int64_t vectors = shape.elements / width;
    launch(rescale_kernel<width(), T>,
           {.grid = {ceil_div(vectors, kMaxThreads), shape.n}, .block = kMaxThreads, .stream = stream},
           vectors, shape.scale, shape.offset, args.x, args.divisor, args.y);
  });
}

template <typename T>
void one_hot(const OneHotShape& shape, const OneHotArgs<T, float>& args, StreamView stream) {
  const int64_t elements = int64_t{shape.n} * shape.classes;
  launch(one_hot_kernel<T>, {.grid = ceil_div(elements, kMaxThreads), .block = kMaxThreads, .stream = stream},
         elements, shape.classes, args.index, args.y);
}

template void upsample_nearest(const ResampleParams&, const ResampleArgs<float>&, StreamView);
template void upsample_nearest(const ResampleParams&, const ResampleArgs<BFloat16>&, StreamView);
template void sum_pool(const ResampleParams&, const ResampleArgs<float>&, StreamView);
template void sum_pool(const ResampleParams&, const ResampleArgs<BFloat16>&, StreamView);
template void pad_after(int, int, int, int, const float*, float*, StreamView);
template void pad_after(int, int, int, int, const BFloat16*, BFloat16*, StreamView);
template void crop_after(int, int, int, int, const float*, float*, StreamView);
template void crop_after(int, int, int, int, const BFloat16*, BFloat16*, StreamView);
template void rescale(const RescaleParams&, const RescaleArgs<float, float>&, StreamView);
template void rescale(const RescaleParams&, const RescaleArgs<BFloat16, float>&, StreamView);
template void one_hot(const OneHotShape&, const OneHotArgs<float, float>&, StreamView);
template void one_hot(const OneHotShape&, const OneHotArgs<BFloat16, float>&, StreamView);

}  // namespace ddpm::cuda
