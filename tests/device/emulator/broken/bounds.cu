#include "device/launch.h"
#include "device/shared_memory.h"
#include "tests/device/emulator/broken/kernels.h"

namespace ddpm::broken {
namespace {

constexpr int kThreads = 64;

struct Shared {
  int values[kThreads];
};

__global__ void global_read_past_end_kernel(const int* in, int* out, int count) {
  const int i = static_cast<int>(threadIdx.x);
  if (i <= count) out[i % count] = in[i];
}

__global__ void global_write_past_end_kernel(int* out, int count) {
  const int i = static_cast<int>(threadIdx.x);
  if (i <= count) out[i] = i;
}

// Through a pointer: UndefinedBehaviorSanitizer also sees an index beyond an array's declared bounds.
__device__ int* static_values() { return block_shared<Shared>().values; }

__global__ void static_shared_read_past_end_kernel(int* out) {
  int* values = static_values();
  values[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x + 1];
}

__global__ void static_shared_write_past_end_kernel(int* out) {
  int* values = static_values();
  values[threadIdx.x + 1] = 1;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];
}

__global__ void dynamic_shared_read_past_end_kernel(int* out) {
  int* values = dynamic_shared<int>(kThreads);
  values[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x + 1];
}

__global__ void dynamic_shared_write_past_end_kernel(int* out) {
  int* values = dynamic_shared<int>(kThreads);
  values[threadIdx.x + 1] = 1;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];
}

constexpr size_t kDynamicBytes = kThreads * sizeof(int);

}  // namespace

void global_read_past_end(const int* in, int* out, int count, StreamView stream) {
  launch(global_read_past_end_kernel, {.grid = 1, .block = kThreads, .stream = stream}, in, out, count);
}

void global_write_past_end(int* out, int count, StreamView stream) {
  launch(global_write_past_end_kernel, {.grid = 1, .block = kThreads, .stream = stream}, out, count);
}

void static_shared_read_past_end(int* out, StreamView stream) {
  launch(static_shared_read_past_end_kernel, {.grid = 1, .block = kThreads, .stream = stream}, out);
}

void static_shared_write_past_end(int* out, StreamView stream) {
  launch(static_shared_write_past_end_kernel, {.grid = 1, .block = kThreads, .stream = stream}, out);
}

void dynamic_shared_read_past_end(int* out, StreamView stream) {
  launch(dynamic_shared_read_past_end_kernel,
         {.grid = 1, .block = kThreads, .shared_bytes = kDynamicBytes, .stream = stream}, out);
}

void dynamic_shared_write_past_end(int* out, StreamView stream) {
  launch(dynamic_shared_write_past_end_kernel,
         {.grid = 1, .block = kThreads, .shared_bytes = kDynamicBytes, .stream = stream}, out);
}

}  // namespace ddpm::broken
