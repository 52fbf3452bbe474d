// Building blocks of the group norm kernels: a thread's position in the tensor, sums over a block's rows,
// per-channel terms, activation and dropout. For .cu files only.
#pragma once

#include "device/reduce.h"
#include "device/shared_memory.h"
#include "device/vector.h"
#include "kernels/cuda/group_norm_plan.h"
#include "kernels/dropout.h"

namespace ddpm::cuda::group_norm_tile {

// ---- Positions

// The part of the tensor that a block owns.
struct Block {
  int unit;
  int chunk;
  int first_image;    // of plan.images, some of which may be beyond the batch
  int first_channel;  // of plan.slice
  int first_pixel;
  int end_pixel;
};

__device__ __forceinline__ Block this_block(const GroupNormPlan& plan, int first_unit) {
  const int chunks = plan.chunks();
  const int slices = plan.slices();
  Block block{};
  block.chunk = static_cast<int>(blockIdx.x) % chunks;
  block.unit = first_unit + static_cast<int>(blockIdx.x) / chunks;
  block.first_image = block.unit / slices * plan.images;
  block.first_channel = block.unit % slices * plan.slice;
  block.first_pixel = block.chunk * plan.chunk;
  block.end_pixel = min(block.first_pixel + plan.chunk, plan.params.pixels);
  return block;
}

// The part that a thread owns: kWidth channels of pixels first_pixel, first_pixel + rows, ... of one image,
// or nothing if the image is beyond the batch.
struct Lane {
  int column;  // of the first channel among the block's
  int image;
  int channel;
  int first_pixel;
  int end_pixel;
};

__device__ __forceinline__ Lane this_lane(const GroupNormPlan& plan, const Block& block) {
  const int thread = static_cast<int>(threadIdx.x);
  const int vectors = plan.vectors();
  const int vector = thread % vectors;
  const int row = thread / vectors % plan.rows;
  const int image = thread / vectors / plan.rows;
  Lane lane{};
  lane.column = image * plan.slice + vector * plan.width;
  lane.image = block.first_image + image;
  lane.channel = block.first_channel + vector * plan.width;
  lane.first_pixel = block.first_pixel + row;
  lane.end_pixel = lane.image < plan.params.n ? block.end_pixel : 0;
  return lane;
}

// One vector of channels of an image's pixels.
template <typename T>
struct PixelVectors {
  T* first;
  int stride;
  __device__ T* at(int pixel) const { return first + static_cast<int64_t>(pixel) * stride; }
};

// In the concatenation [x, skip]. A vector never straddles the two sources: both are multiples of it.
template <typename T>
__device__ __forceinline__ PixelVectors<T> pixel_vectors(const GroupNormParams& params, const Lane& lane,
                                                         T* x, T* skip) {
  const bool is_first = lane.channel < params.x_channels;
  const int stride = is_first ? params.x_channels : params.skip_channels;
  const int channel = is_first ? lane.channel : lane.channel - params.x_channels;
  return {(is_first ? x : skip) + static_cast<int64_t>(lane.image) * params.pixels * stride + channel,
          stride};
}

// In a tensor with all channels.
template <typename T>
__device__ __forceinline__ PixelVectors<T> pixel_vectors(const GroupNormPlan& plan, const Lane& lane, T* x) {
  return {x + static_cast<int64_t>(lane.image) * plan.params.pixels * plan.channels + lane.channel,
          plan.channels};
}

// Calls body(column, image, channel) for each column of the block whose image is in the batch,
// one thread each.
template <typename Body>
__device__ __forceinline__ void for_each_column(const GroupNormPlan& plan, const Block& block,
                                                const Body& body) {
  const int columns = min(plan.images, plan.params.n - block.first_image) * plan.slice;
  for (int column = static_cast<int>(threadIdx.x); column < columns; column += plan.threads())
    body(column, block.first_image + column / plan.slice, block.first_channel + column % plan.slice);
}

// ---- Shared memory, laid out as in GroupNormPlan

// The slot of the lane's first pixel in a tile; the next pixel's slot is slot_stride further. Adjacent lanes
// use adjacent slots, so no two lanes of a quarter-warp hit the same bank. Each lane uses its own slots only,
// so no barrier is needed between writing and reading them.
template <typename T>
__device__ __forceinline__ T* tile_slots(const GroupNormPlan& plan, int tile) {
  const size_t count = plan.tile_bytes() / sizeof(T);
  return dynamic_shared<T>(count, tile * plan.tile_bytes()) + static_cast<int>(threadIdx.x) * plan.width;
}
__device__ __forceinline__ int slot_stride(const GroupNormPlan& plan) { return plan.threads() * plan.width; }

__device__ __forceinline__ float* column_array(const GroupNormPlan& plan, int array) {
  return dynamic_shared<float>(static_cast<size_t>(plan.columns()), plan.shared_bytes(array));
}

template <int kWidth>
__device__ __forceinline__ void read_columns(const float* array, int column, float (&values)[kWidth]) {
#pragma unroll
  for (int k = 0; k < kWidth; k += 4) {
    float four[4];
    load_floats(array + column + k, four);
#pragma unroll
    for (int j = 0; j < 4; ++j) values[k + j] = four[j];
  }
}

// ---- Sums

// totals[column] = sum of the threads' values over the block's rows, in an order that depends only on the
// plan: within runs of rows, then over the runs. Three barriers; the last makes the totals visible.
template <int kWidth>
__device__ __forceinline__ void sum_over_rows(const GroupNormPlan& plan, const float (&values)[kWidth],
                                              float* totals) {
  const int thread = static_cast<int>(threadIdx.x);
  const int columns = plan.columns();
  float* thread_sums =
      dynamic_shared<float>(plan.thread_sums(), plan.sums_offset());             // (image, row, channel)
  float* run_sums = dynamic_shared<float>(plan.run_sums(), plan.runs_offset());  // (run, column)
#pragma unroll
  for (int k = 0; k < kWidth; k += 4) {
    const float four[4] = {values[k], values[k + 1], values[k + 2], values[k + 3]};
    store_floats(thread_sums + thread * kWidth + k, four);
  }
  __syncthreads();
  for (int item = thread; item < columns * plan.runs(); item += plan.threads()) {
    const int column = item % columns;
    const int first_row = item / columns * GroupNormPlan::kRowsPerRun;
    const int end_row = min(first_row + GroupNormPlan::kRowsPerRun, plan.rows);
    const int image = column / plan.slice;
    const float* row_sums = thread_sums + image * plan.rows * plan.slice + column % plan.slice;
    float sum = 0;
    for (int row = first_row; row < end_row; ++row) sum += row_sums[row * plan.slice];
    run_sums[item] = sum;
  }
  __syncthreads();
  for (int column = thread; column < columns; column += plan.threads()) {
    float sum = 0;
    for (int run = 0; run < plan.runs(); ++run) sum += run_sums[run * columns + column];
    totals[column] = sum;
  }
  __syncthreads();
}

// Sum of term(column) over the columns of the group that contains `column`. A slice has whole groups.
template <typename Term>
__device__ __forceinline__ float sum_over_group(const GroupNormPlan& plan, int column, const Term& term) {
  const int first = column / plan.channels_per_group * plan.channels_per_group;
  float sum = 0;
  for (int c = first; c < first + plan.channels_per_group; ++c) sum += term(c);
  return sum;
}

// Whether this block is the last of `blocks` to arrive at a counter that starts at 0. All threads get the
// result, and then see what the other blocks wrote before they arrived.
__device__ __forceinline__ bool is_last_to_arrive(unsigned* counter, int blocks) {
  struct Shared {
    bool is_last;
  };
  Shared& shared = block_shared<Shared>();
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    shared.is_last = atomicAdd(counter, 1u) == static_cast<unsigned>(blocks) - 1;
    __threadfence();
  }
  __syncthreads();
  return shared.is_last;
}

// ---- Per-channel terms: w = (x + center) * scale + offset

// shift + bias, added to x before the normalization.
template <typename Args>
__device__ __forceinline__ float input_offset(const GroupNormParams& params, const Args& args, int image,
                                              int channel) {
  float offset = 0;
  if (args.shift != nullptr)
    offset += to_float(args.shift[static_cast<int64_t>(image) * params.shift_stride + channel]);
  if (args.bias != nullptr) offset += args.bias[channel];
  return offset;
}

struct Film {
  float scale = 1;  // 1 + the predicted scale
  float shift = 0;
};

template <typename Args>
__device__ __forceinline__ Film film(const GroupNormPlan& plan, const Args& args, int image, int channel) {
  if (args.film == nullptr) return {};
  const auto* row = args.film + static_cast<int64_t>(image) * plan.params.film_stride;
  return {1.0f + to_float(row[channel]), to_float(row[plan.channels + channel])};
}

// Where these terms are in shared memory, one array each.
struct TermArrays {
  float* center;
  float* scale;
  float* offset;
};

template <typename Args>
__device__ __forceinline__ void write_terms(const GroupNormPlan& plan, const Args& args,
                                            const TermArrays& terms, int column, int image, int channel,
                                            float mean, float rstd) {
  const Film modulation = film(plan, args, image, channel);
  terms.center[column] = input_offset(plan.params, args, image, channel) - mean;
  terms.scale[column] = rstd * args.gamma[channel] * modulation.scale;
  terms.offset[column] = args.beta[channel] * modulation.scale + modulation.shift;
}

// The terms of all columns, from the statistics that the forward pass keeps. Ends with a barrier.
template <typename Args>
__device__ __forceinline__ void write_terms(const GroupNormPlan& plan, const Args& args, const Block& block,
                                            const TermArrays& terms) {
  for_each_column(plan, block, [&](int column, int image, int channel) {
    const int group = image * plan.params.groups + channel / plan.channels_per_group;
    write_terms(plan, args, terms, column, image, channel, args.mean[group], args.rstd[group]);
  });
  __syncthreads();
}

// A lane's own terms.
template <int kWidth>
struct LaneTerms {
  float center[kWidth];
  float scale[kWidth];
  float offset[kWidth];

  __device__ LaneTerms(const TermArrays& terms, const Lane& lane) {
    read_columns(terms.center, lane.column, center);
    read_columns(terms.scale, lane.column, scale);
    read_columns(terms.offset, lane.column, offset);
  }
};

// ---- Activation and dropout

enum class Dropout : uint8_t { kNone, kMask };

// The dropout mask of an image, regenerated from its counter (kernels/random.h).
template <Dropout kDropout>
class DropoutMask {
 public:
  __device__ DropoutMask(const GroupNormPlan& plan, const DropoutKey& key, const Lane& lane) {
    if constexpr (kDropout == Dropout::kMask) {
      key_ = {key.seed, plan.params.dropout_stream};
      sample_ = static_cast<uint64_t>(*key.step) * static_cast<uint64_t>(plan.params.n) +
                static_cast<uint64_t>(lane.image);
      threshold_ = plan.dropout_threshold;
      kept_scale_ = plan.kept_scale;
    }
  }

  // Applies it to the kWidth elements starting at `element`, a multiple of kWidth.
  template <int kWidth>
  __device__ __forceinline__ void apply(int element, float (&values)[kWidth]) const {
    static_assert(kDropoutBlock % kWidth == 0, "one call of the generator per vector");
    if constexpr (kDropout == Dropout::kMask) {
      const auto place = static_cast<uint32_t>(element);
      const U32x4 bits = random_bits4(key_, sample_, place / kDropoutBlock);
      const bool is_upper_half = kWidth < kDropoutBlock && place % kDropoutBlock != 0;
#pragma unroll
      for (int k = 0; k < kWidth; ++k) {
        const uint32_t drawn =
            is_upper_half ? dropout_bits(bits, kDropoutBlock - kWidth + k) : dropout_bits(bits, k);
        values[k] = drawn < threshold_ ? 0.0f : values[k] * kept_scale_;
      }
    }
  }

 private:
  RandomKey key_{};
  uint64_t sample_ = 0;
  uint32_t threshold_ = 0;
  float kept_scale_ = 1;
};

// exp(-w) overflows to infinity for w < -88, where 1 / (1 + infinity) = 0 is the right result.
__device__ __forceinline__ float sigmoid(float w) { return __fdividef(1.0f, 1.0f + __expf(-w)); }

// Calls body.template operator()<kActivation, kDropout>() for the options in params.
template <typename Body>
void with_options(const GroupNormParams& params, const Body& body) {
  constexpr Activation kNone = Activation::kNone;
  constexpr Activation kSilu = Activation::kSilu;
  const bool has_silu = params.activation == kSilu;
  if (params.dropout > 0)
    has_silu ? body.template operator()<kSilu, Dropout::kMask>()
             : body.template operator()<kNone, Dropout::kMask>();
  else
    has_silu ? body.template operator()<kSilu, Dropout::kNone>()
             : body.template operator()<kNone, Dropout::kNone>();
}

}  // namespace ddpm::cuda::group_norm_tile
