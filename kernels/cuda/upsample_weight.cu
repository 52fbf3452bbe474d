// Folds the filter of a convolution after nearest upsampling into the one that acts on the smaller image
// (UpsampleConv2dShape::folded), and maps its gradient back. Both change which channel is innermost, so both
// sum tiles on their way through shared memory.
#include "device/launch.h"
#include "device/shared_memory.h"
#include "kernels/cuda/kernels.h"

namespace ddpm::cuda {
namespace {

constexpr int kTile = 32;
constexpr int kTileRows = 8;  // of threads; each takes kTile / kTileRows elements
constexpr int kTaps = 3;
constexpr int kFoldedTaps = 4;

struct Shared {
  float tile[kTile][kTile + 1];  // padded, so that the elements of a column are in different banks
};

// Taps [first, last] along one axis.
struct TapRange {
  int first;
  int last;
};

// A row of A: the taps of the weight that a folded tap sums.
__device__ __forceinline__ TapRange taps_of_folded(int folded) {
  return folded < 2 ? TapRange{2 - folded, 2} : TapRange{0, 3 - folded};
}

// A column of A: the folded taps that a tap of the weight contributes to.
__device__ __forceinline__ TapRange folded_of_tap(int tap) { return {2 - tap, 3 - tap}; }

// The sum over a square of taps of from[(row * taps + i) * taps + j, column] for `from` (rows,
// taps, taps, columns).
template <typename T>
__device__ __forceinline__ float sum_taps(const T* from, int64_t row, int taps, int columns, int column,
                                          TapRange vertical, TapRange horizontal) {
  float sum = 0;
  for (int i = vertical.first; i <= vertical.last; ++i)
    for (int j = horizontal.first; j <= horizontal.last; ++j)
      sum += to_float(from[((row * taps + i) * taps + j) * columns + column]);
  return sum;
}

// Math: folded[c,a,b,k] = sum over r, s of A[a,r] A[b,s] weight[k,r,s,c].
// Threads: a block takes 32 x 32 (k, c) of one folded tap.
// Shared: 33 x 32 floats.
// Traffic: folded once, the weight 4 times, from L2. 20 FLOPs for each (k, c).
// Preconditions: none on sizes.
template <typename T>
__global__ void __launch_bounds__(kTile* kTileRows)
    fold_kernel(int channels_k, int channels_c, const T* __restrict__ weight, T* __restrict__ folded) {
  Shared& shared = block_shared<Shared>();
  const int first_k = static_cast<int>(blockIdx.y) * kTile, first_c = static_cast<int>(blockIdx.x) * kTile;
  const int a = static_cast<int>(blockIdx.z) / kFoldedTaps, b = static_cast<int>(blockIdx.z) % kFoldedTaps;
  const int x = static_cast<int>(threadIdx.x);
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kTileRows)
    if (first_k + y < channels_k && first_c + x < channels_c)
      shared.tile[y][x] =
          sum_taps(weight, first_k + y, kTaps, channels_c, first_c + x, taps_of_folded(a), taps_of_folded(b));
  __syncthreads();
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kTileRows) {
    const int64_t row = (static_cast<int64_t>(first_c + y) * kFoldedTaps + a) * kFoldedTaps + b;
    if (first_c + y < channels_c && first_k + x < channels_k)
      folded[row * channels_k + first_k + x] = from_float<T>(shared.tile[x][y]);
  }
}

// Math: dweight[k,r,s,c] += sum over a, b of A[a,r] A[b,s] dfolded[c,a,b,k].
// Threads: a block takes 32 x 32 (c, k) of one tap of the weight.
// Shared: 33 x 32 floats.
// Traffic: dweight twice, dfolded 2.25 times, from L2. 36 FLOPs for each (k, c).
// Preconditions: none on sizes.
template <typename T>
__global__ void __launch_bounds__(kTile* kTileRows)
    unfold_kernel(int channels_k, int channels_c, const T* __restrict__ dfolded,
                  float* __restrict__ dweight) {
  Shared& shared = block_shared<Shared>();
  const int first_k = static_cast<int>(blockIdx.y) * kTile, first_c = static_cast<int>(blockIdx.x) * kTile;
  const int r = static_cast<int>(blockIdx.z) / kTaps, s = static_cast<int>(blockIdx.z) % kTaps;
  const int x = static_cast<int>(threadIdx.x);
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kTileRows)
    if (first_c + y < channels_c && first_k + x < channels_k)
      shared.tile[y][x] = sum_taps(dfolded, first_c + y, kFoldedTaps, channels_k, first_k + x,
                                   folded_of_tap(r), folded_of_tap(s));
  __syncthreads();
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kTileRows) {
    const int64_t row = (static_cast<int64_t>(first_k + y) * kTaps + r) * kTaps + s;
    if (first_k + y < channels_k && first_c + x < channels_c)
      dweight[row * channels_c + first_c + x] += shared.tile[x][y];
  }
}

LaunchConfig one_block_a_tile(int k, int c, int taps, StreamView stream) {
  return {.grid = {ceil_div(c, kTile), ceil_div(k, kTile), taps * taps},
          .block = {kTile, kTileRows},
          .stream = stream};
}

}  // namespace

template <typename T>
void fold_upsample_weight(int k, int c, const T* weight, T* folded, StreamView stream) {
  launch(fold_kernel<T>, one_block_a_tile(k, c, kFoldedTaps, stream), k, c, weight, folded);
}

template <typename T>
void unfold_upsample_gradient(int k, int c, const T* dfolded, float* dweight, StreamView stream) {
  launch(unfold_kernel<T>, one_block_a_tile(k, c, kTaps, stream), k, c, dfolded, dweight);
}

template void fold_upsample_weight(int, int, const float*, float*, StreamView);
template void fold_upsample_weight(int, int, const BFloat16*, BFloat16*, StreamView);
template void unfold_upsample_gradient(int, int, const float*, float*, StreamView);
template void unfold_upsample_gradient(int, int, const BFloat16*, float*, StreamView);

}  // namespace ddpm::cuda
