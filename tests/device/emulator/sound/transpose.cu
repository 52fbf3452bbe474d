#include "device/launch.h"
#include "device/shared_memory.h"
#include "tests/device/emulator/sound/kernels.h"

namespace ddpm::sound {
namespace {

constexpr int kTile = 32;
constexpr int kRowsPerStep = 8;

struct Shared {
  float tile[kTile][kTile + 1];  // padded, so that the elements of a column are in different banks
};

__global__ void transpose_kernel(const float* __restrict__ in, float* __restrict__ out, int rows,
                                 int columns) {
  Shared& shared = block_shared<Shared>();
  const int first_row = static_cast<int>(blockIdx.y) * kTile;
  const int first_column = static_cast<int>(blockIdx.x) * kTile;
  const int x = static_cast<int>(threadIdx.x);
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kRowsPerStep)
    if (first_row + y < rows && first_column + x < columns)
      shared.tile[y][x] = in[(first_row + y) * columns + first_column + x];
  __syncthreads();
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kRowsPerStep)
    if (first_column + y < columns && first_row + x < rows)
      out[(first_column + y) * rows + first_row + x] = shared.tile[x][y];
}

}  // namespace

void transpose(DeviceSpan<const float> in, DeviceSpan<float> out, int rows, int columns, StreamView stream) {
  launch(transpose_kernel,
         {.grid = {ceil_div(columns, kTile), ceil_div(rows, kTile)},
          .block = {kTile, kRowsPerStep},
          .stream = stream},
         in.data(), out.data(), rows, columns);
}

}  // namespace ddpm::sound
