// Warp and block reductions in a fixed order, so that results are deterministic to the bit. For
// .cu files only.
#pragma once

namespace ddpm {

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kFullWarp = 0xFFFFFFFFu;
inline constexpr int kMaxWarpsPerBlock = 32;

// Two sums at once, with half the barriers of two reductions (for instance sum of dy and sum of dy * xhat).
struct FloatPair {
  float first;
  float second;
};

// The operations. Commutative, so that both partners of a butterfly step get the same bits.
struct Sum {
  static __device__ float identity(float) { return 0.0f; }
  static __device__ FloatPair identity(FloatPair) { return {0.0f, 0.0f}; }
  __device__ float operator()(float a, float b) const { return a + b; }
  __device__ FloatPair operator()(FloatPair a, FloatPair b) const {
    return {a.first + b.first, a.second + b.second};
  }
};

// Ignores NaN unless all values are NaN, like fmaxf.
struct Max {
  static __device__ float identity(float) { return -__builtin_huge_valf(); }
  static __device__ FloatPair identity(FloatPair) { return {-__builtin_huge_valf(), -__builtin_huge_valf()}; }
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
  __device__ FloatPair operator()(FloatPair a, FloatPair b) const {
    return {fmaxf(a.first, b.first), fmaxf(a.second, b.second)};
  }
};

__device__ __forceinline__ float shuffle_xor(float value, int lane_mask) {
  return __shfl_xor_sync(kFullWarp, value, lane_mask);
}
__device__ __forceinline__ FloatPair shuffle_xor(FloatPair value, int lane_mask) {
  return {shuffle_xor(value.first, lane_mask), shuffle_xor(value.second, lane_mask)};
}

// Reduces over the kLanes adjacent lanes that start at a multiple of kLanes; every lane gets the result,
// with the same bits. All 32 lanes of the warp must call it. Order: a butterfly with partners kLanes/2, ...,
// 2, 1 lanes apart.
template <int kLanes = kWarpSize, typename T, typename Operation>
__device__ __forceinline__ T warp_reduce(T value, Operation operation) {
  static_assert(kLanes >= 1 && kLanes <= kWarpSize && (kLanes & (kLanes - 1)) == 0);
#pragma unroll
  for (int distance = kLanes / 2; distance > 0; distance /= 2)
    value = operation(value, shuffle_xor(value, distance));
  return value;
}

// One slot per warp: a member of the kernel's shared struct.
template <typename T>
struct BlockReduceScratch {
  T warp_results[kMaxWarpsPerBlock];
};

// Reduces over all threads of a one-dimensional block whose size is a multiple of 32; every thread gets the
// result, with the same bits. All threads must call it. Order: each warp as in warp_reduce, then every warp
// does the same butterfly over the warps' results, which saves the barrier of a broadcast. Two barriers; the
// last one frees the scratch for the next call.
template <typename T, typename Operation>
__device__ __forceinline__ T block_reduce(T value, Operation operation, BlockReduceScratch<T>& scratch) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int warps = static_cast<int>(blockDim.x) / kWarpSize;
  value = warp_reduce(value, operation);
  if (lane == 0) scratch.warp_results[warp] = value;
  __syncthreads();
  value = lane < warps ? scratch.warp_results[lane] : Operation::identity(value);
  value = warp_reduce(value, operation);
  __syncthreads();
  return value;
}

}  // namespace ddpm
