#include "device/launch.h"
#include "device/reduce.h"
#include "device/shared_memory.h"
#include "device/vector.h"
#include "tests/device/emulator/sound/kernels.h"

namespace ddpm::sound {
namespace {

constexpr int kThreads = 128;

struct Shared {
  BlockReduceScratch<float> scratch;
};

// One block per row. Each thread only uses its own part of the row, so the row in shared memory
// needs no barrier.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    layer_norm_kernel(const T* __restrict__ x, T* __restrict__ y, int columns) {
  constexpr int kWidth = Packed<T>::kWidth;
  Shared& shared = block_shared<Shared>();
  float* row = dynamic_shared<float>(static_cast<size_t>(columns));
  const T* x_row = x + static_cast<int64_t>(blockIdx.x) * columns;
  T* y_row = y + static_cast<int64_t>(blockIdx.x) * columns;
  const int first = static_cast<int>(threadIdx.x) * kWidth;
  constexpr int kStep = kThreads * kWidth;

  float sum = 0;
  for (int i = first; i < columns; i += kStep) {
    float v[kWidth];
    load_floats(x_row + i, v, CacheHint::kStreaming);
    for (int k = 0; k < kWidth; ++k) {
      row[i + k] = v[k];
      sum += v[k];
    }
  }
  const float mean = block_reduce(sum, Sum{}, shared.scratch) / static_cast<float>(columns);
  float squares = 0;
  for (int i = first; i < columns; i += kStep)
    for (int k = 0; k < kWidth; ++k) squares += (row[i + k] - mean) * (row[i + k] - mean);
  const float variance = block_reduce(squares, Sum{}, shared.scratch) / static_cast<float>(columns);
  const float rstd = rsqrtf(variance + 1e-5f);
  for (int i = first; i < columns; i += kStep) {
    float v[kWidth];
    for (int k = 0; k < kWidth; ++k) v[k] = (row[i + k] - mean) * rstd;
    store_floats(y_row + i, v, CacheHint::kStreaming);
  }
}

}  // namespace

template <typename T>
void layer_norm(DeviceSpan<const T> x, DeviceSpan<T> y, int rows, int columns, StreamView stream) {
  launch(layer_norm_kernel<T>,
         {.grid = rows,
          .block = kThreads,
          .shared_bytes = static_cast<size_t>(columns) * sizeof(float),
          .stream = stream},
         x.data(), y.data(), columns);
}

template void layer_norm(DeviceSpan<const float>, DeviceSpan<float>, int, int, StreamView);
template void layer_norm(DeviceSpan<const BFloat16>, DeviceSpan<BFloat16>, int, int, StreamView);

}  // namespace ddpm::sound
