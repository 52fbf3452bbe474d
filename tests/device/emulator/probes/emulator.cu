#include "device/launch.h"
#include "device/shared_memory.h"
#include "tests/device/emulator/probes/kernels.h"

namespace ddpm::probe {
namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;

__global__ void shuffles_kernel(int* out, int argument, int width) {
  const int lane = static_cast<int>(threadIdx.x);
  const int value = 100 + lane;
  int* results = out + 5 * lane;
  results[0] = __shfl_sync(kAll, value, argument, width);
  results[1] = __shfl_up_sync(kAll, value, static_cast<unsigned>(argument), width);
  results[2] = __shfl_down_sync(kAll, value, static_cast<unsigned>(argument), width);
  results[3] = __shfl_xor_sync(kAll, value, argument, width);
  results[4] = static_cast<int>(__ballot_sync(kAll, lane % 2));
}

__global__ void votes_kernel(unsigned* out, int limit) {
  const bool below = static_cast<int>(threadIdx.x) < limit;
  const int any = __any_sync(kAll, below);
  const int all = __all_sync(kAll, below);
  const unsigned ballot = __ballot_sync(kAll, below);
  if (threadIdx.x != 0) return;
  out[0] = any != 0;
  out[1] = all != 0;
  out[2] = ballot;
}

__global__ void turns_kernel(int* out, int* counter) {
  out[threadIdx.x] = atomicAdd(counter, 1);
  __syncthreads();
  out[blockDim.x + threadIdx.x] = atomicAdd(counter, 1);
}

__global__ void built_ins_kernel(unsigned* out) {
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  unsigned* own = out + 12 * (block * threads + thread);
  own[0] = threadIdx.x, own[1] = threadIdx.y, own[2] = threadIdx.z;
  own[3] = blockIdx.x, own[4] = blockIdx.y, own[5] = blockIdx.z;
  own[6] = blockDim.x, own[7] = blockDim.y, own[8] = blockDim.z;
  own[9] = gridDim.x, own[10] = gridDim.y, own[11] = gridDim.z;
}

__global__ void atomics_kernel(int* values, int* old) {
  old[0] = atomicAdd(&values[0], 5);
  old[1] = atomicMax(&values[1], 5);
  old[2] = atomicMin(&values[2], 5);
  old[3] = atomicExch(&values[3], 5);
  old[4] = atomicCAS(&values[4], 4, 5);
  old[5] = atomicCAS(&values[5], 4, 5);
}

__global__ void nothing_kernel() {}

__global__ void use_dynamic_shared_kernel(size_t count, size_t offset) {
  float* values = dynamic_shared<float>(count, offset);
  for (size_t i = 0; i < count; ++i) values[i] = 1.0f;
}

struct FirstShared {
  int value;
};
struct SecondShared {
  int value;
};

__global__ void use_two_shared_structs_kernel() {
  block_shared<FirstShared>().value = 1;
  block_shared<SecondShared>().value = 2;
}

struct NestedShared {
  int values[32];
};

__global__ void nested_syncwarps_kernel(int* out) {
  NestedShared& shared = block_shared<NestedShared>();
  const unsigned lane = threadIdx.x;
  const unsigned half = lane < 16 ? 0x0000FFFFu : 0xFFFF0000u;
  shared.values[lane] = static_cast<int>(lane);
  __syncwarp(half);
  const int mirrored = shared.values[lane ^ 15u];
  __syncwarp(half);
  shared.values[lane] += mirrored - static_cast<int>(lane ^ 15u) + static_cast<int>(lane);
  __syncwarp();
  out[lane] = shared.values[31 - lane];
}

}  // namespace

void shuffles(int* out, int argument, int width, StreamView stream) {
  launch(shuffles_kernel, {.grid = 1, .block = 32, .stream = stream}, out, argument, width);
}

void votes(unsigned* out, int limit, StreamView stream) {
  launch(votes_kernel, {.grid = 1, .block = 32, .stream = stream}, out, limit);
}

void turns(int* out, int* counter, int threads, StreamView stream) {
  launch(turns_kernel, {.grid = 1, .block = threads, .stream = stream}, out, counter);
}

void built_ins(unsigned* out, Dim3 grid, Dim3 block, StreamView stream) {
  launch(built_ins_kernel, {.grid = grid, .block = block, .stream = stream}, out);
}

void atomics(int* values, int* old, StreamView stream) {
  launch(atomics_kernel, {.grid = 1, .block = 1, .stream = stream}, values, old);
}

void nothing(const LaunchConfig& config) { launch(nothing_kernel, config); }

void use_dynamic_shared(size_t count, size_t offset, size_t given, StreamView stream) {
  launch(use_dynamic_shared_kernel, {.grid = 1, .block = 1, .shared_bytes = given, .stream = stream}, count,
         offset);
}

void use_two_shared_structs(StreamView stream) {
  launch(use_two_shared_structs_kernel, {.grid = 1, .block = 1, .stream = stream});
}

void nested_syncwarps(int* out, StreamView stream) {
  launch(nested_syncwarps_kernel, {.grid = 1, .block = 32, .stream = stream}, out);
}

}  // namespace ddpm::probe
