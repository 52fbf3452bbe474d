#include "device/launch.h"
#include "device/reduce.h"
#include "device/shared_memory.h"
#include "device/vector.h"
#include "tests/device/emulator/probes/kernels.h"

namespace ddpm::probe {
namespace {

struct Shared {
  BlockReduceScratch<float> scratch;
};

__global__ void block_reductions_kernel(const float* x, float* out) {
  Shared& shared = block_shared<Shared>();
  const float value = x[threadIdx.x];
  // The same scratch twice: the reduction itself must order its uses.
  out[2 * threadIdx.x] = block_reduce(value, Sum{}, shared.scratch);
  out[2 * threadIdx.x + 1] = block_reduce(value, Max{}, shared.scratch);
}

__global__ void group_sums_kernel(const float* x, float* first, float* second) {
  const float value = x[threadIdx.x];
  const FloatPair sums = warp_reduce<8>(FloatPair{value, value * value}, Sum{});
  first[threadIdx.x] = sums.first;
  second[threadIdx.x] = sums.second;
}

__global__ void reverse_kernel(const float* x, float* y, int count) {
  float* values = dynamic_shared<float>(static_cast<size_t>(count));
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) values[i] = x[i];
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x))
    y[i] = values[count - 1 - i];
}

template <typename T>
__global__ void twice_kernel(const T* x, T* y, int count) {
  constexpr int kWidth = Packed<T>::kWidth;
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) * kWidth;
  if (i >= count) return;
  float values[kWidth];
  load_floats(x + i, values);
  for (float& value : values) value *= 2.0f;
  store_floats(y + i, values);
}

}  // namespace

void block_reductions(const float* x, float* out, int threads, StreamView stream) {
  launch(block_reductions_kernel, {.grid = 1, .block = threads, .stream = stream}, x, out);
}

void group_sums(const float* x, float* first, float* second, StreamView stream) {
  launch(group_sums_kernel, {.grid = 1, .block = kWarpSize, .stream = stream}, x, first, second);
}

void reverse(const float* x, float* y, int count, StreamView stream) {
  launch(
      reverse_kernel,
      {.grid = 1, .block = 256, .shared_bytes = static_cast<size_t>(count) * sizeof(float), .stream = stream},
      x, y, count);
}

template <typename T>
void twice(const T* x, T* y, int count, StreamView stream) {
  launch(twice_kernel<T>, {.grid = ceil_div(count, 64 * Packed<T>::kWidth), .block = 64, .stream = stream}, x,
         y, count);
}

template void twice(const float*, float*, int, StreamView);
template void twice(const BFloat16*, BFloat16*, int, StreamView);

}  // namespace ddpm::probe
