#include "device/launch.h"
#include "device/reduce.h"
#include "device/shared_memory.h"
#include "tests/device/emulator/sound/kernels.h"

namespace ddpm::sound {
namespace {

struct Shared {
  int values[kWarpSize];
};

__global__ void warp_scan_reversed_kernel(const int* __restrict__ in, int* __restrict__ out) {
  Shared& shared = block_shared<Shared>();
  const int lane = static_cast<int>(threadIdx.x);
  int value = in[lane];
  for (unsigned distance = 1; distance < kWarpSize; distance *= 2) {
    const int below = __shfl_up_sync(kFullWarp, value, distance);
    if (lane >= static_cast<int>(distance)) value += below;
  }
  shared.values[lane] = value;
  __syncwarp();
  out[lane] = shared.values[kWarpSize - 1 - lane];
}

}  // namespace

void warp_scan_reversed(DeviceSpan<const int> in, DeviceSpan<int> out, StreamView stream) {
  launch(warp_scan_reversed_kernel, {.grid = 1, .block = kWarpSize, .stream = stream}, in.data(), out.data());
}

}  // namespace ddpm::sound
