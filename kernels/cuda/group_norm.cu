// Group norm, forward.
#include <algorithm>

#include "device/launch.h"
#include "device/memory.h"
#include "kernels/cuda/group_norm_tile.h"
#include "kernels/cuda/kernels.h"

namespace ddpm::cuda {
namespace {

using namespace group_norm_tile;  // NOLINT(google-build-using-namespace): written for these kernels

// 16-byte loads that a thread starts before it uses the first: 64 KB per multiprocessor with 512 threads.
// Hiding a latency of a microsecond at 3 TB/s takes 24 KB, and half of the time a block adds or writes.
constexpr int kInFlight = 8;

// The arrays of columns in shared memory.
struct Arrays {
  __device__ explicit Arrays(const GroupNormPlan& plan)
      : totals(column_array(plan, 0)),
        mean(column_array(plan, 1)),
        terms{column_array(plan, 2), column_array(plan, 3), column_array(plan, 4)} {}
  static_assert(kForwardArrays == 5);
  float* totals;
  float* mean;
  TermArrays terms;
};

// Calls use(x, pixel) for each of the lane's vectors, loading kInFlight of them together. Past the end it
// loads the last pixel again, so that no load is conditional.
template <typename T, typename Use>
__device__ __forceinline__ void for_each_vector(const GroupNormPlan& plan,
                                                const GroupNormArgs<T, float>& args, const Lane& lane,
                                                CacheHint hint, const Use& use) {
  const PixelVectors<const T> x = pixel_vectors(plan.params, lane, args.x, args.skip);
  for (int first = lane.first_pixel; first < lane.end_pixel; first += kInFlight * plan.rows) {
    Packed<T> loaded[kInFlight];
#pragma unroll
    for (int i = 0; i < kInFlight; ++i)
      loaded[i] = Packed<T>::load(x.at(min(first + i * plan.rows, lane.end_pixel - 1)), hint);
#pragma unroll
    for (int i = 0; i < kInFlight; ++i)
      if (first + i * plan.rows < lane.end_pixel) use(loaded[i], first + i * plan.rows);
  }
}

// Calls use(x, pixel) for each of the lane's vectors, from its slots of the tile.
template <typename T, typename Use>
__device__ __forceinline__ void for_each_slot(const GroupNormPlan& plan, const Lane& lane, const Use& use) {
  const T* slot = tile_slots<T>(plan, 0);
  const int stride = slot_stride(plan);
#pragma unroll 2
  for (int pixel = lane.first_pixel; pixel < lane.end_pixel; pixel += plan.rows, slot += stride)
    use(Packed<T>::load(slot), pixel);
}

// Moves the block's pixels of x to shared memory and computes, in arrays of columns, the mean of each
// channel's group and, in `totals`, each channel's sum of squares of (u - mean). The mean comes first, so
// that nothing cancels. Ends with a barrier.
template <typename T>
__device__ __forceinline__ void take_statistics(const GroupNormPlan& plan,
                                                const GroupNormArgs<T, float>& args, const Block& block,
                                                const Lane& lane, CacheHint hint, const Arrays& arrays) {
  constexpr int kWidth = Packed<T>::kWidth;
  float* input_offsets = arrays.terms.offset;  // borrowed until the statistics are known
  for_each_column(plan, block, [&](int column, int image, int channel) {
    input_offsets[column] = input_offset(plan.params, args, image, channel);
  });

  float sums[kWidth] = {};
  T* slot = tile_slots<T>(plan, 0);
  for_each_vector(plan, args, lane, hint, [&](const Packed<T>& x, int) {
    x.store(slot);
    slot += slot_stride(plan);
    float values[kWidth];
    x.to_floats(values);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sums[k] += values[k];
  });
  sum_over_rows(plan, sums, arrays.totals);
  const float pixels = static_cast<float>(block.end_pixel - block.first_pixel);
  for_each_column(plan, block, [&](int column, int, int) {
    const float sum =
        sum_over_group(plan, column, [&](int c) { return arrays.totals[c] / pixels + input_offsets[c]; });
    arrays.mean[column] = sum / static_cast<float>(plan.channels_per_group);
  });
  __syncthreads();

  float center[kWidth];
  float mean[kWidth];
  read_columns(input_offsets, lane.column, center);
  read_columns(arrays.mean, lane.column, mean);
  float squares[kWidth];
#pragma unroll
  for (int k = 0; k < kWidth; ++k) {
    center[k] -= mean[k];
    squares[k] = 0;
  }
  for_each_slot<T>(plan, lane, [&](const Packed<T>& x, int) {
    float values[kWidth];
    x.to_floats(values);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) squares[k] += (values[k] + center[k]) * (values[k] + center[k]);
  });
  sum_over_rows(plan, squares, arrays.totals);
}

__device__ __forceinline__ float reciprocal_deviation(const GroupNormPlan& plan, float squares) {
  const float count = static_cast<float>(plan.params.pixels) * static_cast<float>(plan.channels_per_group);
  return 1.0f / sqrtf(squares / count + static_cast<float>(plan.params.eps));
}

// y = dropout(activation((x + center) * scale + offset)) of one vector.
template <typename T, Activation kActivation, Dropout kDropout>
class Normalize {
 public:
  __device__ Normalize(const GroupNormPlan& plan, const GroupNormArgs<T, float>& args, const Lane& lane,
                       const TermArrays& arrays)
      : y_(pixel_vectors(plan, lane, args.y)),
        first_element_(lane.channel),
        terms_(arrays, lane),
        mask_(plan, args.dropout, lane) {}

  __device__ __forceinline__ void operator()(const Packed<T>& x, int pixel) const {
    float w[Packed<T>::kWidth];
    x.to_floats(w);
#pragma unroll
    for (int k = 0; k < Packed<T>::kWidth; ++k) {
      w[k] = (w[k] + terms_.center[k]) * terms_.scale[k] + terms_.offset[k];
      if constexpr (kActivation == Activation::kSilu) w[k] *= sigmoid(w[k]);
    }
    mask_.apply(first_element_ + pixel * y_.stride, w);
    store_floats(y_.at(pixel), w);
  }

 private:
  PixelVectors<T> y_;
  int first_element_;
  LaneTerms<Packed<T>::kWidth> terms_;
  DropoutMask<kDropout> mask_;
};

// Math: all of kernels/group_norm.h: the mean, then the squares about it, then y = f((x + center) *
// scale + offset).
// Threads: kernels/cuda/group_norm_plan.h; a block has all pixels of its channels, a thread one
// vector of channels.
// Shared: plan.shared_bytes(kForwardArrays); keeps x as loaded.
// Traffic: x and y once. About 12 FLOPs per element with SiLU; 40 more integer operations with dropout.
// Preconditions: path kResident; pointers 16-byte aligned.
template <typename T, Activation kActivation, Dropout kDropout>
__global__ void __launch_bounds__(kGroupNormMaxThreads, 1)
    group_norm_kernel(const GroupNormPlan plan, const GroupNormArgs<T, float> args) {
  const Block block = this_block(plan, 0);
  const Lane lane = this_lane(plan, block);
  const Arrays arrays(plan);
  take_statistics(plan, args, block, lane, CacheHint::kStreaming, arrays);
  for_each_column(plan, block, [&](int column, int image, int channel) {
    const float mean = arrays.mean[column];
    const float rstd =
        reciprocal_deviation(plan, sum_over_group(plan, column, [&](int c) { return arrays.totals[c]; }));
    write_terms(plan, args, arrays.terms, column, image, channel, mean, rstd);
    if (channel % plan.channels_per_group != 0) return;
    const int group = image * plan.params.groups + channel / plan.channels_per_group;
    args.mean[group] = mean;
    args.rstd[group] = rstd;
  });
  __syncthreads();
  for_each_slot<T>(plan, lane, Normalize<T, kActivation, kDropout>(plan, args, lane, arrays.terms));
}

// What the blocks of a unit leave for its last one. squares: sum of (u - mean)^2 over the chunk.
struct PartialStatistics {
  float mean;
  float squares;
};

// Math: combines the statistics of all parts at once (Chan, Golub and LeVeque 1979):
//   mean = sum of count mean_k / m,   squares = sum of squares_k + count (mean_k - mean)^2.
// Threads: one warp per group, each lane over every 32nd chunk.
__device__ void combine_statistics(const GroupNormPlan& plan, const Block& block,
                                   const PartialStatistics* partial, float* mean, float* rstd) {
  const int groups = plan.groups_per_slice();
  const float width = static_cast<float>(plan.channels_per_group);
  const auto count = [&](int chunk) {
    return width * static_cast<float>(min(plan.chunk, plan.params.pixels - chunk * plan.chunk));
  };
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warps = plan.threads() / kWarpSize;  // an incomplete warp does not take part
  for (int g = warp; g < groups && warp < warps; g += warps) {
    float sum = 0;
    for (int k = lane; k < plan.chunks(); k += kWarpSize) sum += count(k) * partial[k * groups + g].mean;
    const float group_mean = warp_reduce(sum, Sum{}) / (width * static_cast<float>(plan.params.pixels));
    float squares = 0;
    for (int k = lane; k < plan.chunks(); k += kWarpSize) {
      const PartialStatistics part = partial[k * groups + g];
      squares += part.squares + count(k) * (part.mean - group_mean) * (part.mean - group_mean);
    }
    squares = warp_reduce(squares, Sum{});
    if (lane != 0) continue;
    const int group =
        block.first_image * plan.params.groups + block.first_channel / plan.channels_per_group + g;
    mean[group] = group_mean;
    rstd[group] = reciprocal_deviation(plan, squares);
  }
}

// Math: mean and rstd, from the statistics of each chunk.
// Threads: as in group_norm_kernel, for one chunk; the last block of a unit combines the chunks.
// Shared: plan.shared_bytes(kForwardArrays).
// Traffic: x once, which stays in L2 for group_norm_normalize_kernel. About 5 FLOPs per element.
// Preconditions: path kTwoPhase; `arrived` is zero for each unit; partial is (unit, chunk, group
// of the slice).
template <typename T>
__global__ void __launch_bounds__(kGroupNormMaxThreads, 1)
    group_norm_statistics_kernel(const GroupNormPlan plan, const GroupNormArgs<T, float> args, int first_unit,
                                 PartialStatistics* partial, unsigned* arrived) {
  const Block block = this_block(plan, first_unit);
  const Lane lane = this_lane(plan, block);
  const Arrays arrays(plan);
  take_statistics(plan, args, block, lane, CacheHint::kKeep, arrays);
  const int groups = plan.groups_per_slice();
  PartialStatistics* of_unit = partial + static_cast<int64_t>(block.unit) * plan.chunks() * groups;
  for_each_column(plan, block, [&](int column, int, int) {
    if (column % plan.channels_per_group != 0) return;
    of_unit[block.chunk * groups + column / plan.channels_per_group] = {
        arrays.mean[column], sum_over_group(plan, column, [&](int c) { return arrays.totals[c]; })};
  });
  if (is_last_to_arrive(&arrived[block.unit], plan.chunks()))
    combine_statistics(plan, block, of_unit, args.mean, args.rstd);
}

// Math: y = f((x + center) * scale + offset) from mean and rstd.
// Threads: as in group_norm_kernel, for one chunk.
// Shared: plan.shared_bytes(kForwardArrays), of which only the arrays are used; the layout is the same.
// Traffic: x from L2, y once. About 7 FLOPs per element with SiLU; 40 more integer operations with dropout.
// Preconditions: path kTwoPhase; group_norm_statistics_kernel has run for these units.
template <typename T, Activation kActivation, Dropout kDropout>
__global__ void __launch_bounds__(kGroupNormMaxThreads, 1)
    group_norm_normalize_kernel(const GroupNormPlan plan, const GroupNormArgs<T, float> args,
                                int first_unit) {
  const Block block = this_block(plan, first_unit);
  const Lane lane = this_lane(plan, block);
  const Arrays arrays(plan);
  write_terms(plan, args, block, arrays.terms);
  for_each_vector(plan, args, lane, CacheHint::kStreaming,
                  Normalize<T, kActivation, kDropout>(plan, args, lane, arrays.terms));
}

size_t partial_bytes(const GroupNormPlan& plan) {
  return sizeof(PartialStatistics) * size_t(plan.units()) * plan.chunks() * plan.groups_per_slice();
}

template <typename T>
void two_phases(const GroupNormPlan& plan, const GroupNormArgs<T, float>& args, void* scratch,
                const GroupNormTuning& tuning, StreamView stream) {
  auto* partial = static_cast<PartialStatistics*>(scratch);
  auto* arrived = reinterpret_cast<unsigned*>(static_cast<std::byte*>(scratch) + partial_bytes(plan));
  detail::fill_async(arrived, 0, sizeof(unsigned) * plan.units(), stream);
  const int range = units_per_range(plan, GroupNormPass::kForward, tuning);
  GroupNormPlan second = plan;  // needs no tile
  second.tiles = 0;
  for (int first = 0; first < plan.units(); first += range) {
    const int64_t blocks = int64_t{std::min(range, plan.units() - first)} * plan.chunks();
    launch(group_norm_statistics_kernel<T>,
           {.grid = blocks,
            .block = plan.threads(),
            .shared_bytes = plan.shared_bytes(kForwardArrays),
            .stream = stream},
           plan, args, first, partial, arrived);
    with_options(plan.params, [&]<Activation kActivation, Dropout kDropout>() {
      launch(group_norm_normalize_kernel<T, kActivation, kDropout>,
             {.grid = blocks,
              .block = plan.threads(),
              .shared_bytes = second.shared_bytes(kForwardArrays),
              .stream = stream},
             second, args, first);
    });
  }
}

}  // namespace

size_t group_norm_scratch_bytes(const GroupNormParams& params) {
  size_t bytes = 0;
  for (const int element_bytes : {2, 4}) {
    const GroupNormPlan plan = plan_group_norm(params, element_bytes, GroupNormPass::kForward);
    if (plan.path == GroupNormPath::kTwoPhase)
      bytes = std::max(bytes, partial_bytes(plan) + sizeof(unsigned) * plan.units());
  }
  return bytes;
}

template <typename T>
void group_norm(const GroupNormParams& params, const GroupNormArgs<T, float>& args, void* scratch,
                StreamView stream, const GroupNormTuning& tuning) {
  const GroupNormPlan plan = plan_group_norm(params, sizeof(T), GroupNormPass::kForward, tuning);
  if (plan.path == GroupNormPath::kTwoPhase) return two_phases(plan, args, scratch, tuning, stream);
  with_options(params, [&]<Activation kActivation, Dropout kDropout>() {
    launch(group_norm_kernel<T, kActivation, kDropout>,
           {.grid = plan.units(),
            .block = plan.threads(),
            .shared_bytes = plan.shared_bytes(kForwardArrays),
            .stream = stream},
           plan, args);
  });
}

template <typename T>
void group_norm(const GroupNormParams& params, const GroupNormArgs<T, float>& args, void* scratch,
                StreamView stream) {
  group_norm(params, args, scratch, stream, GroupNormTuning{});
}

template void group_norm(const GroupNormParams&, const GroupNormArgs<float, float>&, void*, StreamView);
template void group_norm(const GroupNormParams&, const GroupNormArgs<BFloat16, float>&, void*, StreamView);
template void group_norm(const GroupNormParams&, const GroupNormArgs<float, float>&, void*, StreamView,
                         const GroupNormTuning&);
template void group_norm(const GroupNormParams&, const GroupNormArgs<BFloat16, float>&, void*, StreamView,
                         const GroupNormTuning&);

}  // namespace ddpm::cuda
