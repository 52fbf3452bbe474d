#include "device/launch.h"
#include "tests/device/emulator/broken/kernels.h"

namespace ddpm::broken {
namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;
constexpr unsigned kLowerHalf = 0x0000FFFFu;

__global__ void exited_shuffle_lane_kernel(int* out) {
  if (threadIdx.x == 5) return;
  out[threadIdx.x] = __shfl_xor_sync(kAll, static_cast<int>(threadIdx.x), 1);
}

__global__ void nonexistent_shuffle_lane_kernel(int* out) {
  out[threadIdx.x] = __shfl_down_sync(kAll, static_cast<int>(threadIdx.x), 1);
}

__global__ void divergent_shuffle_kernel(int* out) {
  int value = static_cast<int>(threadIdx.x);
  if (threadIdx.x < 16) value = __shfl_xor_sync(kAll, value, 8);
  __syncthreads();
  out[threadIdx.x] = value;
}

__global__ void shuffle_outside_mask_kernel(int* out) {
  out[threadIdx.x] = __shfl_sync(kLowerHalf, static_cast<int>(threadIdx.x), 0);
}

__global__ void shuffle_from_outside_mask_kernel(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(kLowerHalf, static_cast<int>(threadIdx.x), 20);
}

__global__ void shuffle_with_two_masks_kernel(int* out) {
  const unsigned mask = threadIdx.x < 16 ? kAll : ~kLowerHalf;
  out[threadIdx.x] = __shfl_xor_sync(mask, static_cast<int>(threadIdx.x), 1);
}

}  // namespace

void exited_shuffle_lane(int* out, StreamView stream) {
  launch(exited_shuffle_lane_kernel, {.grid = 1, .block = 32, .stream = stream}, out);
}

void nonexistent_shuffle_lane(int* out, StreamView stream) {
  launch(nonexistent_shuffle_lane_kernel, {.grid = 1, .block = 24, .stream = stream}, out);
}

void divergent_shuffle(int* out, StreamView stream) {
  launch(divergent_shuffle_kernel, {.grid = 1, .block = 32, .stream = stream}, out);
}

void shuffle_outside_mask(int* out, StreamView stream) {
  launch(shuffle_outside_mask_kernel, {.grid = 1, .block = 32, .stream = stream}, out);
}

void shuffle_from_outside_mask(int* out, StreamView stream) {
  launch(shuffle_from_outside_mask_kernel, {.grid = 1, .block = 32, .stream = stream}, out);
}

void shuffle_with_two_masks(int* out, StreamView stream) {
  launch(shuffle_with_two_masks_kernel, {.grid = 1, .block = 32, .stream = stream}, out);
}

}  // namespace ddpm::broken
