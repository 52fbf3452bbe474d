// Kernels that record the results of emulator and device layer functions.
#pragma once

#include "device/bfloat16.h"
#include "device/launch_config.h"

namespace ddpm::probe {

// 5 results per lane of one warp: __shfl_sync, _up, _down, _xor of 100 + lane with this argument and width,
// and the ballot of odd lanes.
void shuffles(int* out, int argument, int width, StreamView stream);

// out: any, all of (lane < limit), and the ballot, as seen by lane 0 of a full warp.
void votes(unsigned* out, int limit, StreamView stream);

// out[t] = the turn of thread t of the only block, before and after a barrier (two arrays of `threads`).
void turns(int* out, int* counter, int threads, StreamView stream);

// out[linear thread of the grid] = {threadIdx, blockIdx, blockDim, gridDim}, 12 values.
void built_ins(unsigned* out, Dim3 grid, Dim3 block, StreamView stream);

// One thread: add, max, min, exchange, and compare-and-swap twice on values[0..5]; the old values
// go to old[0..5].
void atomics(int* values, int* old, StreamView stream);

// Does nothing; for testing launches.
void nothing(const LaunchConfig& config);

// A kernel that uses `count` floats of dynamic shared memory at byte `offset`, with `given` bytes.
void use_dynamic_shared(size_t count, size_t offset, size_t given, StreamView stream);
void use_two_shared_structs(StreamView stream);

// Half warps that synchronize twice by themselves, then all together; out[i] = 62 - 2 i.
void nested_syncwarps(int* out, StreamView stream);

// Over blocks of `threads`: out[2 * thread] is the sum of x, out[2 * thread + 1] its maximum.
void block_reductions(const float* x, float* out, int threads, StreamView stream);
// Sums of x over groups of 8 lanes of one warp; first and second of the pair x and x * x.
void group_sums(const float* x, float* first, float* second, StreamView stream);

// y[i] = x[count - 1 - i] through `count` floats of dynamic shared memory.
void reverse(const float* x, float* y, int count, StreamView stream);

// y = 2 x through Packed<T>; count is a multiple of its width.
template <typename T>
void twice(const T* x, T* y, int count, StreamView stream);

}  // namespace ddpm::probe
