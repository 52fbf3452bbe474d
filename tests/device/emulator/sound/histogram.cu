#include "device/launch.h"
#include "device/shared_memory.h"
#include "tests/device/emulator/sound/kernels.h"

namespace ddpm::sound {
namespace {

constexpr int kBins = 64;
constexpr int kThreads = 128;

struct Shared {
  int counts[kBins];
};

__global__ void histogram_kernel(const int* __restrict__ values, int count, int* counts) {
  Shared& shared = block_shared<Shared>();
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < kBins) shared.counts[thread] = 0;
  __syncthreads();
  const int i = static_cast<int>(blockIdx.x) * kThreads + thread;
  if (i < count) atomicAdd(&shared.counts[values[i]], 1);
  __syncthreads();
  if (thread < kBins) atomicAdd(&counts[thread], shared.counts[thread]);
}

}  // namespace

void histogram(DeviceSpan<const int> values, DeviceSpan<int> counts, StreamView stream) {
  launch(histogram_kernel, {.grid = ceil_div(values.size(), kThreads), .block = kThreads, .stream = stream},
         values.data(), static_cast<int>(values.size()), counts.data());
}

}  // namespace ddpm::sound
