// CUDA's built-in variables.
//
// They, and __syncthreads() and its relatives, take no argument that could identify the calling thread. Here,
// and only here, the emulator needs a global: the current thread, one per host thread.
#pragma once

namespace ddpm::emulator {

struct Index3 {
  unsigned x;
  unsigned y;
  unsigned z;
};

struct BlockBuiltIns {
  Index3 block_index;
  Index3 block_extent;
  Index3 grid_extent;
};

struct ThreadBuiltIns {
  Index3 thread_index;
  const BlockBuiltIns* block;
};

// Null outside kernels. `constinit` saves the initialization check on each access.
extern thread_local constinit ThreadBuiltIns* current_thread;

}  // namespace ddpm::emulator

#define threadIdx (::ddpm::emulator::current_thread->thread_index)
#define blockIdx (::ddpm::emulator::current_thread->block->block_index)
#define blockDim (::ddpm::emulator::current_thread->block->block_extent)
#define gridDim (::ddpm::emulator::current_thread->block->grid_extent)
