// Operations on one element or one column at a time: addition, bias, SiLU, conversion.
#include <algorithm>
#include <cstdint>

#include "device/launch.h"
#include "device/shared_memory.h"
#include "device/vector.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/row_plan.h"

namespace ddpm::cuda {
namespace {

// ---- Elementwise functions

constexpr int kMapThreads = 256;
constexpr int kMapUnroll = 4;  // 16-byte loads that a thread keeps in flight, per input

template <typename... Types>
constexpr int kWidestPack = std::max({Packed<Types>::kWidth...});

template <int kElements, typename T>
__device__ __forceinline__ void load_elements(const T* from, float (&to)[kElements]) {
  constexpr int kWidth = Packed<T>::kWidth;
#pragma unroll
  for (int i = 0; i < kElements; i += kWidth) {
    float pack[kWidth];
    load_floats(from + i, pack, CacheHint::kStreaming);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) to[i + k] = pack[k];
  }
}

template <int kElements, typename T>
__device__ __forceinline__ void store_elements(T* to, const float (&from)[kElements]) {
  constexpr int kWidth = Packed<T>::kWidth;
#pragma unroll
  for (int i = 0; i < kElements; i += kWidth) {
    float pack[kWidth];
#pragma unroll
    for (int k = 0; k < kWidth; ++k) pack[k] = from[i + k];
    store_floats(to + i, pack);
  }
}

// Math: to[i] = function(from[i]...).
// Threads: kMapUnroll groups of kElements adjacent elements each, a block's width apart. All loads
// come before the first store, so `to` may be one of `from`. Elements after the last whole group take
// one thread each.
// Shared: none.
// Traffic: each array once.
// Preconditions: 16-byte alignment.
template <typename Function, typename To, typename... From>
__global__ void __launch_bounds__(kMapThreads)
    map_kernel(int64_t count, Function function, To* to, const From*... from) {
  constexpr int kInputs = sizeof...(From);
  constexpr int kElements = kWidestPack<To, From...>;
  constexpr int kStride = kMapThreads * kElements;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kStride * kMapUnroll + threadIdx.x * kElements;
  float x[kMapUnroll][kInputs][kElements];
#pragma unroll
  for (int u = 0; u < kMapUnroll; ++u) {
    const int64_t at = first + u * kStride;
    int input = 0;
    if (at + kElements <= count) (load_elements(from + at, x[u][input++]), ...);
  }
#pragma unroll
  for (int u = 0; u < kMapUnroll; ++u) {
    const int64_t at = first + u * kStride;
    if (at + kElements > count) break;
    float y[kElements];
#pragma unroll
    for (int k = 0; k < kElements; ++k) {
      float arguments[kInputs];
#pragma unroll
      for (int input = 0; input < kInputs; ++input) arguments[input] = x[u][input][k];
      y[k] = function(arguments);
    }
    store_elements(to + at, y);
  }
  const int64_t ragged = count / kElements * kElements + threadIdx.x;
  if (blockIdx.x == gridDim.x - 1 && ragged < count) {
    const float arguments[kInputs] = {to_float(from[ragged])...};
    to[ragged] = from_float<To>(function(arguments));
  }
}

template <typename Function, typename To, typename... From>
void launch_map(int64_t count, Function function, To* to, StreamView stream, const From*... from) {
  if (count == 0) return;
  constexpr int kPerBlock = kMapThreads * kMapUnroll * kWidestPack<To, From...>;
  launch(map_kernel<Function, To, From...>,
         {.grid = ceil_div(count, kPerBlock), .block = kMapThreads, .stream = stream}, count, function, to,
         from...);
}

struct Identity {
  __device__ float operator()(const float (&x)[1]) const { return x[0]; }
};

struct Add {
  __device__ float operator()(const float (&x)[2]) const { return x[0] + x[1]; }
};

// expf(-x) overflows to infinity for x < -88, where 1 / (1 + infinity) = 0 is the right result.
__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

struct Silu {
  __device__ float operator()(const float (&x)[1]) const { return x[0] * sigmoid(x[0]); }
};

struct SiluBackward {
  // x is x[0], dy is x[1].
  __device__ float operator()(const float (&x)[2]) const {
    const float s = sigmoid(x[0]);
    return x[1] * (s * (1.0f + x[0] * (1.0f - s)));
  }
};

// ---- Matrices (rows, channels) by columns

// A thread's columns and its first row within the block's rows, as laid out by kernels/cuda/row_plan.h.
template <int kWidth>
struct Place {
  __device__ Place(int channels, int lanes)
      : channel((static_cast<int>(blockIdx.y) * lanes + static_cast<int>(threadIdx.x) % lanes) * kWidth),
        row(static_cast<int>(threadIdx.x) / lanes),
        is_used(row < kRowThreads / lanes && channel < channels) {}
  int channel;
  int row;
  bool is_used;
};

// Math: y[row,k] = bias[k] + residual[row,k].
// Threads: each keeps the bias of its columns in registers and takes kRowUnroll rows.
// Shared: none.
// Traffic: y once, residual once.
// Preconditions: channels are a multiple of kWidth.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kRowThreads)
    broadcast_bias_kernel(int64_t rows, int channels, int lanes, const T* __restrict__ bias,
                          const T* residual, T* y) {
  const Place<kWidth> place(channels, lanes);
  if (!place.is_used) return;
  const int row_step = kRowThreads / lanes;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * row_step * kRowUnroll + place.row;
  float columns[kWidth];
#pragma unroll
  for (int k = 0; k < kWidth; ++k) columns[k] = to_float(bias[place.channel + k]);
  float values[kRowUnroll][kWidth] = {};
  if (residual != nullptr) {
#pragma unroll
    for (int u = 0; u < kRowUnroll; ++u) {
      const int64_t row = first + u * row_step;
      if (row < rows) load_columns<kWidth>(residual + row * channels + place.channel, values[u]);
    }
  }
#pragma unroll
  for (int u = 0; u < kRowUnroll; ++u) {
    const int64_t row = first + u * row_step;
    if (row >= rows) break;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) values[u][k] += columns[k];
    store_columns<kWidth>(y + row * channels + place.channel, values[u]);
  }
}

template <int kWidth>
struct GradientShared {
  float sums[kRowThreads][kWidth];
};

// Math: partial[chunk,k] = sum over the chunk's rows of dy[row,k].
// Threads: each adds every (kRowThreads / lanes)-th row of its columns; the first row of threads then adds
// the sums of the others in order.
// Shared: 4 kRowThreads kWidth bytes.
// Traffic: dy once, 4 channels bytes per chunk. 1 FLOP per element.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kRowThreads)
    bias_gradient_kernel(int64_t rows, int64_t chunk_rows, int channels, int lanes, const T* __restrict__ dy,
                         float* __restrict__ partial) {
  GradientShared<kWidth>& shared = block_shared<GradientShared<kWidth>>();
  const Place<kWidth> place(channels, lanes);
  const int row_step = kRowThreads / lanes;
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * chunk_rows;
  const int64_t end = begin + chunk_rows < rows ? begin + chunk_rows : rows;
  float sum[kWidth] = {};
  if (place.is_used) {
    for (int64_t row = begin + place.row; row < end; row += static_cast<int64_t>(row_step) * kRowUnroll) {
      float values[kRowUnroll][kWidth] = {};
#pragma unroll
      for (int u = 0; u < kRowUnroll; ++u) {
        const int64_t at = row + u * row_step;
        if (at < end) load_columns<kWidth>(dy + at * channels + place.channel, values[u]);
      }
#pragma unroll
      for (int u = 0; u < kRowUnroll; ++u)
#pragma unroll
        for (int k = 0; k < kWidth; ++k) sum[k] += values[u][k];
    }
  }
#pragma unroll
  for (int k = 0; k < kWidth; ++k) shared.sums[threadIdx.x][k] = sum[k];
  __syncthreads();
  if (!place.is_used || place.row != 0) return;
  for (int row = 1; row < row_step; ++row)
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum[k] += shared.sums[threadIdx.x + row * lanes][k];
#pragma unroll
  for (int k = 0; k < kWidth; ++k)
    partial[static_cast<int64_t>(blockIdx.x) * channels + place.channel + k] = sum[k];
}

constexpr int kCombineColumns = 32;  // a warp reads 128 adjacent bytes
constexpr int kCombineRows = 16;

struct CombineShared {
  float sums[kCombineRows][kCombineColumns];
};

// Math: to.dbias[k], to.also_dbias[k] += sum over chunks of partial[chunk,k].
// Threads: (column, row): each adds every kCombineRows-th chunk of a column, then the first row
// adds the rest.
// Shared: 2 KB.
// Traffic: 4 chunks channels bytes, from L2.
__global__ void __launch_bounds__(kCombineColumns* kCombineRows)
    combine_bias_gradient_kernel(int chunks, int channels, const float* __restrict__ partial,
                                 BiasGradients to) {
  CombineShared& shared = block_shared<CombineShared>();
  const int channel = static_cast<int>(blockIdx.x * kCombineColumns + threadIdx.x);
  const int row = static_cast<int>(threadIdx.y);
  float sum = 0;
  if (channel < channels) {
#pragma unroll 8
    for (int chunk = row; chunk < chunks; chunk += kCombineRows)
      sum += partial[static_cast<int64_t>(chunk) * channels + channel];
  }
  shared.sums[row][threadIdx.x] = sum;
  __syncthreads();
  if (row != 0 || channel >= channels) return;
  for (int other = 1; other < kCombineRows; ++other) sum += shared.sums[other][threadIdx.x];
  to.dbias[channel] += sum;
  if (to.also_dbias != nullptr) to.also_dbias[channel] += sum;
}

// Math: to[row,k] += from[row,k]; rows of `to` are to_stride apart.
// Threads: each takes kRowUnroll rows of its columns.
// Shared: none.
// Traffic: `from` once, `to` twice.
// Preconditions: channels and to_stride are multiples of kWidth, `to` is aligned to kWidth elements.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kRowThreads)
    accumulate_rows_kernel(int64_t rows, int channels, int64_t to_stride, int lanes,
                           const T* __restrict__ from, float* __restrict__ to) {
  const Place<kWidth> place(channels, lanes);
  if (!place.is_used) return;
  const int row_step = kRowThreads / lanes;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * row_step * kRowUnroll + place.row;
  float added[kRowUnroll][kWidth], sum[kRowUnroll][kWidth];
#pragma unroll
  for (int u = 0; u < kRowUnroll; ++u) {
    const int64_t row = first + u * row_step;
    if (row >= rows) break;
    load_columns<kWidth>(from + row * channels + place.channel, added[u]);
    load_columns<kWidth>(to + row * to_stride + place.channel, sum[u]);
  }
#pragma unroll
  for (int u = 0; u < kRowUnroll; ++u) {
    const int64_t row = first + u * row_step;
    if (row >= rows) break;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum[u][k] += added[u][k];
    store_columns<kWidth>(to + row * to_stride + place.channel, sum[u]);
  }
}

__global__ void advance_counter_kernel(int64_t* counter) { ++*counter; }

template <int kWidth, typename T>
void launch_broadcast_bias(int64_t rows, int channels, const T* bias, const T* residual, T* y,
                           StreamView stream) {
  const RowPlan plan = row_plan(channels / kWidth);
  launch(broadcast_bias_kernel<kWidth, T>,
         {.grid = {ceil_div(rows, plan.rows * kRowUnroll), plan.column_blocks},
          .block = kRowThreads,
          .stream = stream},
         rows, channels, plan.lanes, bias, residual, y);
}

template <int kWidth, typename T>
void launch_accumulate_rows(int64_t rows, int channels, int64_t to_stride, const T* from, float* to,
                            StreamView stream) {
  const RowPlan plan = row_plan(channels / kWidth);
  launch(accumulate_rows_kernel<kWidth, T>,
         {.grid = {ceil_div(rows, plan.rows * kRowUnroll), plan.column_blocks},
          .block = kRowThreads,
          .stream = stream},
         rows, channels, to_stride, plan.lanes, from, to);
}

template <int kWidth, typename T>
void launch_bias_gradient(int64_t rows, int channels, const T* dy, float* partial, StreamView stream) {
  const RowPlan plan = row_plan(channels / kWidth);
  const RowChunks chunks = row_chunks(rows);
  launch(bias_gradient_kernel<kWidth, T>,
         {.grid = {chunks.count, plan.column_blocks}, .block = kRowThreads, .stream = stream}, rows,
         chunks.rows, channels, plan.lanes, dy, partial);
}

}  // namespace

template <typename T>
void add(int64_t count, const T* a, const T* b, T* y, StreamView stream) {
  launch_map(count, Add{}, y, stream, a, b);
}

template <typename T>
void silu(int64_t count, const T* x, T* y, StreamView stream) {
  launch_map(count, Silu{}, y, stream, x);
}

template <typename T>
void silu_backward(int64_t count, const T* x, const T* dy, T* dx, StreamView stream) {
  launch_map(count, SiluBackward{}, dx, stream, x, dy);
}

template <typename From, typename To>
void convert(int64_t count, const From* from, To* to, StreamView stream) {
  launch_map(count, Identity{}, to, stream, from);
}

template <typename T>
void accumulate(int64_t count, const T* from, float* to, StreamView stream) {
  launch_map(count, Add{}, to, stream, static_cast<const float*>(to), from);
}

template <typename T>
void accumulate_rows(int64_t rows, int channels, int64_t to_stride, const T* from, float* to,
                     StreamView stream) {
  constexpr int kWidth = Packed<float>::kWidth;
  const bool is_aligned = reinterpret_cast<uintptr_t>(to) % (kWidth * sizeof(float)) == 0;
  with_width<kWidth>(is_aligned && to_stride % kWidth == 0 ? channels : 1, [&](auto width) {
    launch_accumulate_rows<width()>(rows, channels, to_stride, from, to, stream);
  });
}

template <typename T>
void broadcast_bias(int64_t rows, int channels, const T* bias, const T* residual, T* y, StreamView stream) {
  with_width<Packed<T>::kWidth>(channels, [&](auto width) {
    launch_broadcast_bias<width()>(rows, channels, bias, residual, y, stream);
  });
}

size_t bias_gradient_scratch_bytes(int64_t rows, int channels) {
  return static_cast<size_t>(row_chunks(rows).count) * static_cast<size_t>(channels) * sizeof(float);
}

template <typename T>
void bias_gradient(int64_t rows, int channels, const T* dy, const BiasGradients& to, void* scratch,
                   StreamView stream) {
  auto* partial = static_cast<float*>(scratch);
  with_width<Packed<T>::kWidth>(
      channels, [&](auto width) { launch_bias_gradient<width()>(rows, channels, dy, partial, stream); });
  launch(combine_bias_gradient_kernel,
         {.grid = ceil_div(channels, kCombineColumns),
          .block = {kCombineColumns, kCombineRows},
          .stream = stream},
         row_chunks(rows).count, channels, partial, to);
}

void advance_counter(int64_t* counter, StreamView stream) {
  launch(advance_counter_kernel, {.grid = 1, .block = 1, .stream = stream}, counter);
}

template void add(int64_t, const float*, const float*, float*, StreamView);
template void add(int64_t, const BFloat16*, const BFloat16*, BFloat16*, StreamView);
template void silu(int64_t, const float*, float*, StreamView);
template void silu(int64_t, const BFloat16*, BFloat16*, StreamView);
template void silu_backward(int64_t, const float*, const float*, float*, StreamView);
template void silu_backward(int64_t, const BFloat16*, const BFloat16*, BFloat16*, StreamView);
template void convert(int64_t, const float*, float*, StreamView);
template void convert(int64_t, const float*, BFloat16*, StreamView);
template void convert(int64_t, const BFloat16*, float*, StreamView);
template void convert(int64_t, const BFloat16*, BFloat16*, StreamView);
template void accumulate(int64_t, const float*, float*, StreamView);
template void accumulate(int64_t, const BFloat16*, float*, StreamView);
template void accumulate_rows(int64_t, int, int64_t, const float*, float*, StreamView);
template void accumulate_rows(int64_t, int, int64_t, const BFloat16*, float*, StreamView);
template void broadcast_bias(int64_t, int, const float*, const float*, float*, StreamView);
template void broadcast_bias(int64_t, int, const BFloat16*, const BFloat16*, BFloat16*, StreamView);
template void bias_gradient(int64_t, int, const float*, const BiasGradients&, void*, StreamView);
template void bias_gradient(int64_t, int, const BFloat16*, const BiasGradients&, void*, StreamView);

}  // namespace ddpm::cuda
