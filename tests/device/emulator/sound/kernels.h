// Correct kernels in the styles of the engine's own: a tile, a reduction, vectors, atomics. They must pass in
// every build and give the same bits in every thread order.
#pragma once

#include "device/bfloat16.h"
#include "device/memory.h"

namespace ddpm::sound {

// out (columns, rows) = in (rows, columns) transposed, through a tile in static shared memory.
void transpose(DeviceSpan<const float> in, DeviceSpan<float> out, int rows, int columns, StreamView stream);

// y = (x - mean) / sqrt(variance + 1e-5) over each row of x (rows, columns), with the row in dynamic shared
// memory. `columns` is a multiple of Packed<T>::kWidth.
template <typename T>
void layer_norm(DeviceSpan<const T> x, DeviceSpan<T> y, int rows, int columns, StreamView stream);

// The example in docs/emulator.md: the mean of each row of x (rows, columns); `columns` as in layer_norm.
template <typename T>
void row_mean(DeviceSpan<const T> x, DeviceSpan<float> mean, int columns, StreamView stream);

// counts[i] += number of `values` equal to i, for values in [0, 64): integer atomics in shared
// and global memory.
void histogram(DeviceSpan<const int> values, DeviceSpan<int> counts, StreamView stream);

// sum[0] = sum of x. Each block writes its part; the last to finish adds them in block order.
void grid_sum(DeviceSpan<const float> x, DeviceSpan<float> parts, DeviceSpan<unsigned> finished,
              DeviceSpan<float> sum, StreamView stream);

// out[i] = in[0] + ... + in[31 - i] for 32 elements, by __shfl_up_sync, then reversed through shared
// memory and __syncwarp.
void warp_scan_reversed(DeviceSpan<const int> in, DeviceSpan<int> out, StreamView stream);

}  // namespace ddpm::sound
