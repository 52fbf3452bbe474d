// How kernels over the columns of a matrix (rows, channels) are tiled across threads and blocks.
#pragma once

#include <algorithm>
#include <cstdint>

#include "device/launch_config.h"

namespace ddpm::cuda {

inline constexpr int kRowThreads = 256;
inline constexpr int kRowUnroll = 4;  // rows that a thread loads before it uses the first one

// A block is `rows` rows of `lanes` threads. Each thread owns one column of vectors, so that per-column
// values (bias, sum) stay in registers. If lanes do not divide the block, its last threads are idle.
struct RowPlan {
  int lanes = 1;
  int rows = 1;
  int column_blocks = 1;
};

// `columns` is the length of a row in vectors.
constexpr RowPlan row_plan(int columns) {
  const int lanes = std::min(columns, kRowThreads);
  return {.lanes = lanes,
          .rows = kRowThreads / lanes,
          .column_blocks = static_cast<int>(ceil_div(columns, lanes))};
}

// A sum over rows is taken per chunk, one block each, and then over the chunks. The chunks, and so the bits
// of the sum, depend only on the number of rows, not on the GPU.
struct RowChunks {
  int count = 1;
  int64_t rows = 1;  // in each chunk but the last
};

constexpr RowChunks row_chunks(int64_t rows) {
  constexpr int kMaxChunks = 512;   // about four blocks per multiprocessor of an H100, which has 132
  constexpr int64_t kMinRows = 64;  // with fewer, the second kernel reads too much
  const int64_t in_chunk = std::max(kMinRows, ceil_div(rows, kMaxChunks));
  return {.count = static_cast<int>(ceil_div(rows, in_chunk)), .rows = in_chunk};
}

}  // namespace ddpm::cuda
