#include "device/launch.h"
#include "device/shared_memory.h"
#include "device/vector.h"
#include "tests/device/emulator/broken/kernels.h"

namespace ddpm::broken {
namespace {

__global__ void misaligned_packed_load_kernel(const float* in, float* out) {
  const unsigned first = threadIdx.x * Packed<float>::kWidth;
  Packed<float>::load(in + first + 1).store(out + first);
}

__global__ void misaligned_cast_load_kernel(const float* in, float* out) {
  const unsigned first = threadIdx.x * Packed<float>::kWidth;
  reinterpret_cast<Packed<float>*>(out + first)[0] =
      reinterpret_cast<const Packed<float>*>(in + first + 1)[0];
}

struct Shared {
  float values[64];
};

__global__ void uninitialized_shared_kernel(float* out) {
  Shared& shared = block_shared<Shared>();
  if (threadIdx.x < 63) shared.values[threadIdx.x] = 1.0f;
  __syncthreads();
  if (threadIdx.x != 0) return;
  float sum = 0;
  for (const float value : shared.values) sum += value;
  *out = sum;
}

}  // namespace

void misaligned_packed_load(const float* in, float* out, StreamView stream) {
  launch(misaligned_packed_load_kernel, {.grid = 1, .block = 2, .stream = stream}, in, out);
}

void misaligned_cast_load(const float* in, float* out, StreamView stream) {
  launch(misaligned_cast_load_kernel, {.grid = 1, .block = 2, .stream = stream}, in, out);
}

void uninitialized_shared(float* out, StreamView stream) {
  launch(uninitialized_shared_kernel, {.grid = 1, .block = 64, .stream = stream}, out);
}

}  // namespace ddpm::broken
