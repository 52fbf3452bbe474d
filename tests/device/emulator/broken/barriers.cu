#include "device/launch.h"
#include "device/shared_memory.h"
#include "tests/device/emulator/broken/kernels.h"

namespace ddpm::broken {
namespace {

constexpr int kThreads = 64;

struct Shared {
  int values[kThreads];
};

__global__ void missing_barrier_kernel(const int* in, int* out) {
  Shared& shared = block_shared<Shared>();
  const unsigned i = threadIdx.x;
  shared.values[i] = in[i];
  out[i] = shared.values[kThreads - 1 - i];
}

__global__ void missing_syncwarp_kernel(const int* in, int* out) {
  Shared& shared = block_shared<Shared>();
  const unsigned i = threadIdx.x;
  shared.values[i] = in[i];
  out[i] = shared.values[31 - i];
}

__global__ void divergent_barrier_kernel(int* out) {
  if (threadIdx.x < kThreads / 2) {
    __syncthreads();
    out[threadIdx.x] = 0;
  } else {
    __syncthreads();
    out[threadIdx.x] = 1;
  }
}

__global__ void barrier_against_shuffle_kernel(int* out) {
  int value = static_cast<int>(threadIdx.x);
  if (threadIdx.x == 3) {
    __syncthreads();
  } else {
    value = __shfl_xor_sync(0xFFFFFFFFu, value, 1);
    __syncthreads();
  }
  out[threadIdx.x] = value;
}

}  // namespace

void missing_barrier(const int* in, int* out, StreamView stream) {
  launch(missing_barrier_kernel, {.grid = 1, .block = kThreads, .stream = stream}, in, out);
}

void missing_syncwarp(const int* in, int* out, StreamView stream) {
  launch(missing_syncwarp_kernel, {.grid = 1, .block = 32, .stream = stream}, in, out);
}

void divergent_barrier(int* out, StreamView stream) {
  launch(divergent_barrier_kernel, {.grid = 1, .block = kThreads, .stream = stream}, out);
}

void barrier_against_shuffle(int* out, StreamView stream) {
  launch(barrier_against_shuffle_kernel, {.grid = 1, .block = 32, .stream = stream}, out);
}

}  // namespace ddpm::broken
