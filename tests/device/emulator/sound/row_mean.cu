#include "device/launch.h"
#include "device/reduce.h"
#include "device/shared_memory.h"
#include "device/vector.h"
#include "tests/device/emulator/sound/kernels.h"

namespace ddpm::sound {
namespace {

constexpr int kThreads = 256;

struct Shared {
  BlockReduceScratch<float> scratch;
};

// mean[row] = sum over columns of x[row, column] / columns
// One block per row; a thread sums every 256th vector of it.
// Shared: one float per warp. Moves rows * columns * sizeof(T) bytes.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    row_mean_kernel(const T* __restrict__ x, float* mean, int columns) {
  constexpr int kWidth = Packed<T>::kWidth;
  Shared& shared = block_shared<Shared>();
  const T* row = x + static_cast<int64_t>(blockIdx.x) * columns;
  float sum = 0;
  for (int i = static_cast<int>(threadIdx.x) * kWidth; i < columns; i += kThreads * kWidth) {
    float values[kWidth];
    load_floats(row + i, values, CacheHint::kStreaming);
    for (const float value : values) sum += value;
  }
  sum = block_reduce(sum, Sum{}, shared.scratch);
  if (threadIdx.x == 0) mean[blockIdx.x] = sum / static_cast<float>(columns);
}

}  // namespace

template <typename T>
void row_mean(DeviceSpan<const T> x, DeviceSpan<float> mean, int columns, StreamView stream) {
  launch(row_mean_kernel<T>, {.grid = mean.size(), .block = kThreads, .stream = stream}, x.data(),
         mean.data(), columns);
}
template void row_mean(DeviceSpan<const float>, DeviceSpan<float>, int, StreamView);
template void row_mean(DeviceSpan<const BFloat16>, DeviceSpan<float>, int, StreamView);

}  // namespace ddpm::sound
