// The labels of a batch as rows of zeros and ones.
#include <cstdint>

#include "device/launch.h"
#include "kernels/cuda/check_arguments.h"
#include "kernels/cuda/kernels.h"
#include "kernels/permutation.h"
#include "kernels/random.h"

namespace ddpm::cuda {
namespace {

constexpr int kWarpSize = 32;
constexpr int kThreads = 128;

// The parameters that the kernel needs.
struct Rows {
  int n;
  int fields;
  int values;
  int columns;
  float dropout;
  float field_dropout;
  uint64_t seed;
  uint64_t dataset_count;
};

// Math: kernels/labels.h.
// Threads: one warp per row; each lane takes every 32nd column. The permutation takes thousands of
// instructions, but is the same for all lanes of a warp and so costs no more than for one.
// Shared: none.
// Traffic: a row and its labels once.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    gather_labels_kernel(Rows rows, const float* __restrict__ labels, const int64_t* __restrict__ step,
                         T* __restrict__ y) {
  const int row = (static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x)) / kWarpSize;
  if (row >= rows.n) return;
  const uint64_t position =
      static_cast<uint64_t>(*step) * static_cast<uint64_t>(rows.n) + static_cast<uint64_t>(row);
  const auto image = static_cast<int64_t>(shuffled_image(rows.seed, position, rows.dataset_count));
  const RandomKey key = random_key(rows.seed, RandomStream::kConditionDrop);
  const U32x4 of_image = random_bits4(key, position, 0);
  const bool all_hidden = bernoulli(of_image[0], rows.dropout);
  const float share = exact::multiply(rows.field_dropout, uniform_open(of_image[1]));

  const int64_t first = static_cast<int64_t>(row) * rows.columns;
  for (int column = static_cast<int>(threadIdx.x) % kWarpSize; column < rows.columns; column += kWarpSize) {
    const int field = column / rows.values;
    bool is_one = all_hidden;  // for the column after those of all fields
    if (field < rows.fields) {
      const bool is_label =
          labels[image * rows.fields + field] == static_cast<float>(column - field * rows.values);
      is_one = is_label && !all_hidden &&
               !bernoulli(random_bits4(key, position, static_cast<uint32_t>(field) + 1)[0], share);
    }
    y[first + column] = from_float<T>(is_one ? 1.0f : 0.0f);
  }
}

}  // namespace

template <typename T>
void gather_labels(const LabelParams& params, const GatherLabelsArgs<T, float>& args, StreamView stream) {
  require_in_range("gather_labels", "number of columns", params.columns(), 1, 1 << 30);
  const Rows rows{.n = params.n,
                  .fields = params.fields,
                  .values = params.values,
                  .columns = params.columns(),
                  .dropout = static_cast<float>(params.dropout),
                  .field_dropout = static_cast<float>(params.field_dropout),
                  .seed = params.seed,
                  .dataset_count = static_cast<uint64_t>(params.dataset_count)};
  launch(gather_labels_kernel<T>,
         {.grid = ceil_div(int64_t{params.n} * kWarpSize, kThreads), .block = kThreads, .stream = stream},
         rows, args.labels, args.step, args.y);
}

template void gather_labels(const LabelParams&, const GatherLabelsArgs<float, float>&, StreamView);
template void gather_labels(const LabelParams&, const GatherLabelsArgs<BFloat16, float>&, StreamView);

}  // namespace ddpm::cuda
