#include "device/launch.h"
#include "tests/device/emulator/broken/kernels.h"

namespace ddpm::broken {
namespace {

__global__ void racing_add_in_block_kernel(int* sum) { *sum += static_cast<int>(threadIdx.x); }

__global__ void racing_add_between_blocks_kernel(int* sum) {
  if (threadIdx.x == 0) *sum += static_cast<int>(blockIdx.x);
}

}  // namespace

void racing_add_in_block(int* sum, StreamView stream) {
  launch(racing_add_in_block_kernel, {.grid = 1, .block = 64, .stream = stream}, sum);
}

void racing_add_between_blocks(int* sum, StreamView stream) {
  launch(racing_add_between_blocks_kernel, {.grid = 2, .block = 32, .stream = stream}, sum);
}

}  // namespace ddpm::broken
