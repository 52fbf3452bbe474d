#include "device/launch.h"
#include "device/reduce.h"
#include "device/shared_memory.h"
#include "tests/device/emulator/sound/kernels.h"

namespace ddpm::sound {
namespace {

constexpr int kThreads = 64;

struct Shared {
  BlockReduceScratch<float> scratch;
  bool is_last;
};

__global__ void grid_sum_kernel(const float* __restrict__ x, int count, float* parts, unsigned* finished,
                                float* sum) {
  Shared& shared = block_shared<Shared>();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const float part = block_reduce(i < count ? x[i] : 0.0f, Sum{}, shared.scratch);
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = part;
    __threadfence();
    shared.is_last = atomicAdd(finished, 1u) == gridDim.x - 1;
    __threadfence();
  }
  __syncthreads();
  if (!shared.is_last || threadIdx.x != 0) return;
  float total = 0;
  for (unsigned block = 0; block < gridDim.x; ++block) total += parts[block];
  *sum = total;
}

}  // namespace

void grid_sum(DeviceSpan<const float> x, DeviceSpan<float> parts, DeviceSpan<unsigned> finished,
              DeviceSpan<float> sum, StreamView stream) {
  launch(grid_sum_kernel, {.grid = parts.size(), .block = kThreads, .stream = stream}, x.data(),
         static_cast<int>(x.size()), parts.data(), finished.data(), sum.data());
}

}  // namespace ddpm::sound
