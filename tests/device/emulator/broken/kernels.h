// Kernels with one planted bug each, named after the bug, that the emulator must catch.
// tests/device/emulator/broken_kernels_test.cpp shows how each build catches it.
#pragma once

#include "device/stream.h"

namespace ddpm::broken {

// out[i] = in[63 - i] through shared memory, without the barrier between writing and reading it.
void missing_barrier(const int* in, int* out, StreamView stream);

// The same in one warp (31 - i), without the __syncwarp.
void missing_syncwarp(const int* in, int* out, StreamView stream);

// Each of 64 threads adds to *sum without an atomic.
void racing_add_in_block(int* sum, StreamView stream);

// The first thread of each of 2 blocks adds to *sum without an atomic.
void racing_add_between_blocks(int* sum, StreamView stream);

// out[i] = in[i] for one element more than `count`: the bounds check is i <= count.
void global_read_past_end(const int* in, int* out, int count, StreamView stream);
void global_write_past_end(int* out, int count, StreamView stream);

// Thread 63 uses the element after the 64 of a shared array.
void static_shared_read_past_end(int* out, StreamView stream);
void static_shared_write_past_end(int* out, StreamView stream);
void dynamic_shared_read_past_end(int* out, StreamView stream);
void dynamic_shared_write_past_end(int* out, StreamView stream);

// 16-byte loads from in + 1, through Packed and through a cast.
void misaligned_packed_load(const float* in, float* out, StreamView stream);
void misaligned_cast_load(const float* in, float* out, StreamView stream);

// *out = the sum of 64 shared values of which the last was never written.
void uninitialized_shared(float* out, StreamView stream);

// The two halves of a block reach different barriers.
void divergent_barrier(int* out, StreamView stream);

// Lanes wait at a barrier instead of taking part in a shuffle.
void barrier_against_shuffle(int* out, StreamView stream);

// A shuffle of all 32 lanes after lane 5 has exited.
void exited_shuffle_lane(int* out, StreamView stream);

// A shuffle of all 32 lanes in a block of 24.
void nonexistent_shuffle_lane(int* out, StreamView stream);

// Half of the lanes shuffle with the mask of all.
void divergent_shuffle(int* out, StreamView stream);

// A shuffle by lanes outside its mask, and one that reads such a lane.
void shuffle_outside_mask(int* out, StreamView stream);
void shuffle_from_outside_mask(int* out, StreamView stream);

// One half of the lanes uses a different mask than the other.
void shuffle_with_two_masks(int* out, StreamView stream);

}  // namespace ddpm::broken
