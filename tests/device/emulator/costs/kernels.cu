#include "tests/device/emulator/costs/kernels.h"

#include "device/launch.h"

namespace ddpm::costs {
namespace {

__global__ void threads_kernel() {}

__global__ void barriers_kernel() {
  for (int i = 0; i < kRepetitions; ++i) __syncthreads();
}

__global__ void shuffles_kernel(float* out) {
  float value = static_cast<float>(threadIdx.x);
  for (int i = 0; i < kRepetitions; ++i) value += __shfl_xor_sync(0xFFFFFFFFu, value, 1);
  out[threadIdx.x] = value;
}

}  // namespace

void threads(StreamView stream) { launch(threads_kernel, {.grid = 1, .block = kThreads, .stream = stream}); }

void barriers(StreamView stream) {
  launch(barriers_kernel, {.grid = 1, .block = kThreads, .stream = stream});
}

void shuffles(float* out, StreamView stream) {
  launch(shuffles_kernel, {.grid = 1, .block = kThreads, .stream = stream}, out);
}

}  // namespace ddpm::costs
