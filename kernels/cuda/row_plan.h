// How kernels over the columns of a matrix (rows, channels) deal it out to threads and blocks.
#pragma once

#include <algorithm>
#include <cstdint>

#include "device/launch_config.h"

namespace ddpm::cuda {

inline constexpr int kRowThreads = 256;
inline constexpr int kRowUnroll = 4;  // rows that a thread loads before it uses the first

// A block is `rows` rows of `lanes` threads. Each thread owns one column of vectors, so that what belongs to
// a column (its bias, its sum) stays in registers. Where lanes do not divide the block, the last threads have
// nothing to do.
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

// A sum over rows is taken chunk by chunk, one block each, and then over the chunks. The chunks depend on the
// number of rows alone, never on the GPU: so do the bits of the sum.
struct RowChunks {
  int count = 1;
  int64_t rows = 1;  // in each chunk but the last
};

constexpr RowChunks row_chunks(int64_t rows) {
  constexpr int kMaxChunks = 512;   // four blocks for each of an H100's 132 multiprocessors, about
  constexpr int64_t kMinRows = 64;  // below it the second kernel reads more than it is worth
  const int64_t in_chunk = std::max(kMinRows, ceil_div(rows, kMaxChunks));
  return {.count = static_cast<int>(ceil_div(rows, in_chunk)), .rows = in_chunk};
}

}  // namespace ddpm::cuda
