// How group norm is tiled across thread blocks, and how much shared memory a block uses. Plain C++, so that
// every choice is tested on the host.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/host_device.h"
#include "kernels/group_norm.h"

namespace ddpm::cuda {

enum class GroupNormPath : uint8_t {
  kResident,  // a block keeps all pixels of its channels in shared memory, so every element is read once
  kTwoPhase,  // a block sees a chunk of the pixels; a second kernel reads them again, from L2
};

enum class GroupNormPass : uint8_t { kForward, kBackward };

// The tensor (N, pixels, C) is split along channels into slices of whole groups and whole 16-byte vectors,
// and along pixels into chunks (a single one on the resident path). A block processes one (chunk, slice) of
// `images` consecutive images. Its threads are ordered (image, row, vector): a thread keeps to one vector of
// channels and takes every rows-th pixel. A column of a block is one channel of one of its images.
struct GroupNormPlan {
  GroupNormParams params;
  GroupNormPath path = GroupNormPath::kResident;
  int width = 1;               // channels in 16 bytes
  int channels_per_group = 1;  // params.channels_per_group(), for the device
  int channels = 1;
  int slice = 1;                   // channels per block
  int chunk = 1;                   // pixels per block; the last chunk of an image may be shorter
  int images = 1;                  // per block; the last block may have fewer
  int rows = 1;                    // pixels that the threads of one image process at a time
  int tiles = 1;                   // tensors kept in shared memory: x, and in the backward pass a gradient
  uint32_t dropout_threshold = 0;  // see kernels/dropout.h
  float kept_scale = 1;

  DDPM_HOST_DEVICE constexpr int vectors() const { return slice / width; }
  DDPM_HOST_DEVICE constexpr int threads() const { return images * rows * vectors(); }
  DDPM_HOST_DEVICE constexpr int columns() const { return images * slice; }
  DDPM_HOST_DEVICE constexpr int groups_per_slice() const { return slice / channels_per_group; }
  DDPM_HOST_DEVICE constexpr int slices() const { return channels / slice; }
  DDPM_HOST_DEVICE constexpr int chunks() const { return (params.pixels + chunk - 1) / chunk; }
  // Pairs of (images, slice): units that are normalized independently.
  DDPM_HOST_DEVICE constexpr int units() const { return (params.n + images - 1) / images * slices(); }

  // Shared memory layout, in this order: `tiles` tensors with one 16-byte slot per pixel of each thread; the
  // two stages of sums over rows; `arrays` of one float per column.
  static constexpr int kRowsPerRun = 8;
  DDPM_HOST_DEVICE constexpr int steps() const { return (chunk + rows - 1) / rows; }
  DDPM_HOST_DEVICE constexpr int runs() const { return (rows + kRowsPerRun - 1) / kRowsPerRun; }
  DDPM_HOST_DEVICE constexpr size_t tile_bytes() const { return size_t(16) * steps() * threads(); }
  DDPM_HOST_DEVICE constexpr size_t thread_sums() const { return size_t(threads()) * width; }
  DDPM_HOST_DEVICE constexpr size_t run_sums() const { return size_t(runs()) * columns(); }
  DDPM_HOST_DEVICE constexpr size_t sums_offset() const { return tiles * tile_bytes(); }
  DDPM_HOST_DEVICE constexpr size_t runs_offset() const { return sums_offset() + 4 * thread_sums(); }
  DDPM_HOST_DEVICE constexpr size_t arrays_offset() const { return runs_offset() + 4 * run_sums(); }
  DDPM_HOST_DEVICE constexpr size_t shared_bytes(int arrays) const {
    return arrays_offset() + size_t(4) * arrays * columns();
  }
};

// Arrays of one float per column that the kernels keep in shared memory.
inline constexpr int kForwardArrays = 5;
inline constexpr int kBackwardArrays = 8;

inline constexpr int kGroupNormMaxThreads = 512;  // leaves 128 registers per thread

// What arithmetic leaves open and only a GPU can settle; group_norm_benchmark sweeps it.
struct GroupNormTuning {
  // Two-phase: bytes that the first phase reads before the second reads them again from L2. A third of an
  // H100's 50 MB, since both halves of L2 may hold a line and the output passes through it too.
  size_t range_bytes = size_t{16} << 20;
  // Backward: minimum bytes per pixel in a resident slice. A memory access moves at least 32; with 16, the
  // block of the adjacent slice, which runs at the same time, finds the other half in L2.
  int least_row_bytes = 16;
};

// element_bytes is 4 or 2. Throws InputError for shapes that the kernels do not support.
GroupNormPlan plan_group_norm(const GroupNormParams& params, int element_bytes, GroupNormPass pass,
                              const GroupNormTuning& tuning = {});

// Two-phase: how many units are read, then normalized, before the next ones are read.
int units_per_range(const GroupNormPlan& plan, GroupNormPass pass, const GroupNormTuning& tuning = {});

}  // namespace ddpm::cuda
