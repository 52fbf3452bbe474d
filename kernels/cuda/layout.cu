// Converts between NCHW and NHWC: each image is a matrix (C, H W) or (H W, C), and the
// conversion transposes it.
#include "device/launch.h"
#include "device/shared_memory.h"
#include "kernels/cuda/kernels.h"

namespace ddpm::cuda {
namespace {

constexpr int kTile = 32;
constexpr int kTileRows = 8;  // of threads; each takes kTile / kTileRows elements

template <typename T>
struct Shared {
  T tile[kTile][kTile + 1];  // padded, so that the elements of a column are in different banks
};

// Math: to[image,j,i] = from[image,i,j], i in [0, rows), j in [0, columns).
// Threads: a block takes a 32 x 32 tile through shared memory, so that both sides are read and
// written by rows.
// Shared: 33 x 32 elements.
// Traffic: each array once.
// Preconditions: none on sizes.
template <typename T>
__global__ void __launch_bounds__(kTile* kTileRows)
    transpose_kernel(int rows, int columns, const T* __restrict__ from, T* __restrict__ to) {
  Shared<T>& shared = block_shared<Shared<T>>();
  const int64_t image = static_cast<int64_t>(blockIdx.z) * rows * columns;
  const int first_row = static_cast<int>(blockIdx.y) * kTile;
  const int first_column = static_cast<int>(blockIdx.x) * kTile;
  const int x = static_cast<int>(threadIdx.x);
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kTileRows)
    if (first_row + y < rows && first_column + x < columns)
      shared.tile[y][x] = from[image + static_cast<int64_t>(first_row + y) * columns + first_column + x];
  __syncthreads();
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kTileRows)
    if (first_column + y < columns && first_row + x < rows)
      to[image + static_cast<int64_t>(first_column + y) * rows + first_row + x] = shared.tile[x][y];
}

template <typename T>
void transpose(int n, int rows, int columns, const T* from, T* to, StreamView stream) {
  launch(transpose_kernel<T>,
         {.grid = {ceil_div(columns, kTile), ceil_div(rows, kTile), n},
          .block = {kTile, kTileRows},
          .stream = stream},
         rows, columns, from, to);
}

}  // namespace

template <typename T>
void nchw_to_nhwc(int n, int c, int h, int w, const T* from, T* to, StreamView stream) {
  transpose(n, c, h * w, from, to, stream);
}

template <typename T>
void nhwc_to_nchw(int n, int c, int h, int w, const T* from, T* to, StreamView stream) {
  transpose(n, h * w, c, from, to, stream);
}

template void nchw_to_nhwc(int, int, int, int, const float*, float*, StreamView);
template void nchw_to_nhwc(int, int, int, int, const BFloat16*, BFloat16*, StreamView);
template void nhwc_to_nchw(int, int, int, int, const float*, float*, StreamView);
template void nhwc_to_nchw(int, int, int, int, const BFloat16*, BFloat16*, StreamView);

}  // namespace ddpm::cuda
