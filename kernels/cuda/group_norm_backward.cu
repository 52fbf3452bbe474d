// Group norm, backward.
//
// With w = (x + center) * scale + offset as in the forward pass, dw its gradient (after undoing activation
// and dropout), and for each channel the sums over an image's pixels
//   A = sum of dw,   B = sum of dw (x + center),   X = sum of (x + center),
// and over the m values of a group S1 = sum over channels of scale A, S2 = sum over channels of scale B:
//   du = scale dw - factor (x + center) - constant,   factor = rstd^2 S2 / m,   constant = S1 / m.
// The gradients of gamma, beta, FiLM, shift and bias follow from A, B and X without another pass
// over the pixels.
#include <algorithm>

#include "device/launch.h"
#include "device/memory.h"
#include "kernels/cuda/group_norm_tile.h"
#include "kernels/cuda/kernels.h"

namespace ddpm::cuda {
namespace {

using namespace group_norm_tile;  // NOLINT(google-build-using-namespace): written for these kernels

constexpr int kInFlight = 2;  // pixels whose x and dy a thread loads before it uses the first

template <typename T>
using Args = GroupNormBackwardArgs<T, float>;

// What each image adds to the parameter gradients: three arrays (N, C) in scratch.
struct ImageGradients {
  float* gamma;
  float* beta;
  float* bias;
};
constexpr int kParameters = 3;

// A, B and X of each column.
struct ColumnSums {
  float* dw;
  float* dw_centered;
  float* centered;
};

// The arrays of columns in shared memory.
struct Arrays {
  __device__ explicit Arrays(const GroupNormPlan& plan)
      : terms{column_array(plan, 0), column_array(plan, 1), column_array(plan, 2)},
        sums{column_array(plan, 3), column_array(plan, 4), column_array(plan, 5)},
        factor(column_array(plan, 6)),
        constant(column_array(plan, 7)) {}
  static_assert(kBackwardArrays == 8);
  TermArrays terms;
  ColumnSums sums;
  float* factor;
  float* constant;
};

// From a vector of x and of dy: centered = x + center, and the gradient of w.
template <typename T, Activation kActivation, Dropout kDropout>
class ActivationGradient {
  static constexpr int kWidth = Packed<T>::kWidth;

 public:
  __device__ ActivationGradient(const GroupNormPlan& plan, const DropoutKey& key, const Lane& lane)
      : first_element_(lane.channel), channels_(plan.channels), mask_(plan, key, lane) {}

  // The mask comes first: Philox needs its registers before the vectors are unpacked into theirs.
  __device__ __forceinline__ void unpack(const Packed<T>& x, const Packed<T>& dy, int pixel,
                                         const LaneTerms<kWidth>& terms, float (&centered)[kWidth],
                                         float (&dw)[kWidth]) const {
    dy.to_floats(dw);
    mask_.apply(first_element_ + pixel * channels_, dw);
    x.to_floats(centered);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      centered[k] += terms.center[k];
      if constexpr (kActivation == Activation::kSilu) {
        const float w = centered[k] * terms.scale[k] + terms.offset[k];
        const float s = sigmoid(w);
        dw[k] *= s * (1.0f + w * (1.0f - s));
      }
    }
  }

 private:
  int first_element_;
  int channels_;
  DropoutMask<kDropout> mask_;
};

// A lane's part of A, B and X.
template <int kWidth>
struct LaneSums {
  float dw[kWidth] = {};
  float dw_centered[kWidth] = {};
  float centered[kWidth] = {};

  __device__ __forceinline__ void add(const float (&d)[kWidth], const float (&c)[kWidth]) {
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      dw[k] += d[k];
      dw_centered[k] += d[k] * c[k];
      centered[k] += c[k];
    }
  }
};

template <int kWidth>
__device__ __forceinline__ void sum_lanes(const GroupNormPlan& plan, const LaneSums<kWidth>& lane,
                                          const ColumnSums& sums) {
  sum_over_rows(plan, lane.dw, sums.dw);
  sum_over_rows(plan, lane.dw_centered, sums.dw_centered);
  sum_over_rows(plan, lane.centered, sums.centered);
}

// Calls use(x, dy, pixel) for each of the lane's vectors, loading kInFlight of them together. Past the end it
// loads the last pixel again, so that no load is conditional.
template <typename T, typename Use>
__device__ __forceinline__ void for_each_vector(const GroupNormPlan& plan, const Args<T>& args,
                                                const Lane& lane, CacheHint hint, const Use& use) {
  const PixelVectors<const T> x = pixel_vectors(plan.params, lane, args.x, args.skip);
  const PixelVectors<const T> dy = pixel_vectors(plan, lane, args.dy);
  for (int first = lane.first_pixel; first < lane.end_pixel; first += kInFlight * plan.rows) {
    Packed<T> loaded_x[kInFlight];
    Packed<T> loaded_dy[kInFlight];
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) {
      const int pixel = min(first + i * plan.rows, lane.end_pixel - 1);
      loaded_x[i] = Packed<T>::load(x.at(pixel), hint);
      loaded_dy[i] = Packed<T>::load(dy.at(pixel), hint);
    }
#pragma unroll
    for (int i = 0; i < kInFlight; ++i)
      if (first + i * plan.rows < lane.end_pixel) use(loaded_x[i], loaded_dy[i], first + i * plan.rows);
  }
}

// From the sums of the unit's columns: factor and constant, the image's part of the parameter gradients, and
// the gradients of shift and FiLM. One thread per column.
template <typename T>
__device__ __forceinline__ void finish_columns(const GroupNormPlan& plan, const Args<T>& args,
                                               const Block& block, const Arrays& arrays,
                                               const ImageGradients& images) {
  const GroupNormParams& params = plan.params;
  const float pixels = static_cast<float>(params.pixels);
  const float count = pixels * static_cast<float>(plan.channels_per_group);
  for_each_column(plan, block, [&](int column, int image, int channel) {
    const float* scale = arrays.terms.scale;
    const ColumnSums& sums = arrays.sums;
    const float rstd = args.rstd[image * params.groups + channel / plan.channels_per_group];
    const float s1 = sum_over_group(plan, column, [&](int c) { return scale[c] * sums.dw[c]; });
    const float s2 = sum_over_group(plan, column, [&](int c) { return scale[c] * sums.dw_centered[c]; });
    const float factor = rstd * rstd * s2 / count;
    const float constant = s1 / count;
    arrays.factor[column] = factor;
    arrays.constant[column] = constant;

    const float modulation = film(plan, args, image, channel).scale;
    const float dw = sums.dw[column];
    const float dw_xhat = rstd * sums.dw_centered[column];
    const float du = scale[column] * dw - factor * sums.centered[column] - constant * pixels;
    const int64_t at = static_cast<int64_t>(image) * plan.channels + channel;
    images.gamma[at] = modulation * dw_xhat;
    images.beta[at] = modulation * dw;
    images.bias[at] = du;
    if (args.dshift != nullptr)
      args.dshift[static_cast<int64_t>(image) * params.shift_stride + channel] = from_float<T>(du);
    if (args.dfilm == nullptr) return;
    T* dfilm = args.dfilm + static_cast<int64_t>(image) * params.film_stride + channel;
    dfilm[0] = from_float<T>(args.gamma[channel] * dw_xhat + args.beta[channel] * dw);
    dfilm[plan.channels] = from_float<T>(dw);
  });
}

// dx = scale dw - factor (x + center) - constant + addends, for one vector. Each vector is read before it is
// written, so dx may be one of its addends.
template <typename T>
class InputGradient {
  static constexpr int kWidth = Packed<T>::kWidth;

 public:
  __device__ InputGradient(const GroupNormPlan& plan, const Args<T>& args, const Lane& lane,
                           const float* factor, const float* constant)
      : dx_(pixel_vectors(plan.params, lane, args.dx, args.dskip)) {
    const bool is_first = lane.channel < plan.params.x_channels;
    const T* const* addends = is_first ? args.dx_addends : args.dskip_addends;
    const int64_t offset = dx_.first - (is_first ? args.dx : args.dskip);
#pragma unroll
    for (int a = 0; a < kAddends; ++a) addends_[a] = addends[a] != nullptr ? addends[a] + offset : nullptr;
    read_columns(factor, lane.column, factor_);
    read_columns(constant, lane.column, constant_);
  }

  __device__ __forceinline__ void store(const LaneTerms<kWidth>& terms, const float (&centered)[kWidth],
                                        const float (&dw)[kWidth], int pixel) const {
    float du[kWidth];
#pragma unroll
    for (int k = 0; k < kWidth; ++k) du[k] = terms.scale[k] * dw[k] - factor_[k] * centered[k] - constant_[k];
#pragma unroll
    for (int a = 0; a < kAddends; ++a) {
      if (addends_[a] == nullptr) continue;
      float addend[kWidth];
      load_floats(addends_[a] + static_cast<int64_t>(pixel) * dx_.stride, addend, CacheHint::kStreaming);
#pragma unroll
      for (int k = 0; k < kWidth; ++k) du[k] += addend[k];
    }
    store_floats(dx_.at(pixel), du);
  }

 private:
  static constexpr int kAddends = 2;
  PixelVectors<T> dx_;
  const T* addends_[kAddends];
  float factor_[kWidth];
  float constant_[kWidth];
};

// Math: top of this file.
// Threads: kernels/cuda/group_norm_plan.h; a block has all pixels of its channels, a thread one
// vector of channels.
// Shared: plan.shared_bytes(kBackwardArrays); keeps x as loaded, and dw rounded to T, which avoids computing
// SiLU and Philox twice. The sums use dw before rounding.
// Traffic: x, dy, addends and dx once. About 25 FLOPs per element with SiLU; 40 more integer
// operations with dropout.
// Preconditions: path kResident; pointers 16-byte aligned.
template <typename T, Activation kActivation, Dropout kDropout>
__global__ void __launch_bounds__(kGroupNormMaxThreads, 1)
    group_norm_backward_kernel(const GroupNormPlan plan, const Args<T> args, const ImageGradients images) {
  constexpr int kWidth = Packed<T>::kWidth;
  const Block block = this_block(plan, 0);
  const Lane lane = this_lane(plan, block);
  const Arrays arrays(plan);
  write_terms(plan, args, block, arrays.terms);
  const LaneTerms<kWidth> terms(arrays.terms, lane);
  T* x_slot = tile_slots<T>(plan, 0);
  T* dw_slot = tile_slots<T>(plan, 1);
  const int stride = slot_stride(plan);

  {
    const ActivationGradient<T, kActivation, kDropout> activation(plan, args.dropout, lane);
    LaneSums<kWidth> sums;
    int64_t at = 0;
    for_each_vector(plan, args, lane, CacheHint::kStreaming,
                    [&](const Packed<T>& x, const Packed<T>& dy, int pixel) {
                      float centered[kWidth];
                      float dw[kWidth];
                      activation.unpack(x, dy, pixel, terms, centered, dw);
                      sums.add(dw, centered);
                      x.store(x_slot + at);
                      store_floats(dw_slot + at, dw);
                      at += stride;
                    });
    sum_lanes(plan, sums, arrays.sums);
  }
  finish_columns(plan, args, block, arrays, images);
  __syncthreads();

  const InputGradient<T> gradient(plan, args, lane, arrays.factor, arrays.constant);
  for (int pixel = lane.first_pixel; pixel < lane.end_pixel; pixel += plan.rows) {
    float centered[kWidth];
    float dw[kWidth];
    load_floats(x_slot, centered);
    load_floats(dw_slot, dw);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) centered[k] += terms.center[k];
    gradient.store(terms, centered, dw, pixel);
    x_slot += stride;
    dw_slot += stride;
  }
}

// Two-phase scratch. partial: A, B, X of each chunk (unit, chunk, 3, column); factor and
// constant: (unit, column).
struct TwoPhaseScratch {
  float* partial;
  float* factor;
  float* constant;
  unsigned* arrived;
};

// Math: A, B and X of each chunk, then of the image, and what follows from them.
// Threads: as in group_norm_backward_kernel, for one chunk; the last block of a unit adds the chunks in
// order and finishes.
// Shared: plan.shared_bytes(kBackwardArrays), no tile.
// Traffic: x and dy once, which stay in L2 for group_norm_backward_gradient_kernel. About 20 FLOPs per
// element with SiLU; 40 more integer operations with dropout.
// Preconditions: path kTwoPhase; scratch.arrived is zero for each unit.
template <typename T, Activation kActivation, Dropout kDropout>
__global__ void __launch_bounds__(kGroupNormMaxThreads, 1)
    group_norm_backward_sums_kernel(const GroupNormPlan plan, const Args<T> args, int first_unit,
                                    const ImageGradients images, const TwoPhaseScratch scratch) {
  constexpr int kWidth = Packed<T>::kWidth;
  const Block block = this_block(plan, first_unit);
  const Lane lane = this_lane(plan, block);
  const Arrays arrays(plan);
  write_terms(plan, args, block, arrays.terms);
  {
    const LaneTerms<kWidth> terms(arrays.terms, lane);
    const ActivationGradient<T, kActivation, kDropout> activation(plan, args.dropout, lane);
    LaneSums<kWidth> sums;
    for_each_vector(plan, args, lane, CacheHint::kKeep,
                    [&](const Packed<T>& x, const Packed<T>& dy, int pixel) {
                      float centered[kWidth];
                      float dw[kWidth];
                      activation.unpack(x, dy, pixel, terms, centered, dw);
                      sums.add(dw, centered);
                    });
    sum_lanes(plan, sums, arrays.sums);
  }

  const int columns = plan.columns();
  float* of_unit = scratch.partial + static_cast<int64_t>(block.unit) * plan.chunks() * kParameters * columns;
  for_each_column(plan, block, [&](int column, int, int) {
    float* part = of_unit + block.chunk * kParameters * columns + column;
    part[0] = arrays.sums.dw[column];
    part[columns] = arrays.sums.dw_centered[column];
    part[2 * columns] = arrays.sums.centered[column];
  });
  if (!is_last_to_arrive(&scratch.arrived[block.unit], plan.chunks())) return;

  for (int item = static_cast<int>(threadIdx.x); item < kParameters * columns; item += plan.threads()) {
    float sum = 0;
#pragma unroll 8
    for (int chunk = 0; chunk < plan.chunks(); ++chunk) sum += of_unit[chunk * kParameters * columns + item];
    arrays.sums.dw[item] = sum;  // the three arrays are contiguous
  }
  __syncthreads();
  finish_columns(plan, args, block, arrays, images);
  for_each_column(plan, block, [&](int column, int, int) {
    scratch.factor[block.unit * columns + column] = arrays.factor[column];
    scratch.constant[block.unit * columns + column] = arrays.constant[column];
  });
}

// Math: dx = scale dw - factor (x + center) - constant + addends.
// Threads: as in group_norm_backward_kernel, for one chunk.
// Shared: plan.shared_bytes(kBackwardArrays), no tile.
// Traffic: x and dy from L2, addends and dx once. About 20 FLOPs per element with SiLU; 40 more integer
// operations with dropout.
// Preconditions: path kTwoPhase; group_norm_backward_sums_kernel has run for these units.
template <typename T, Activation kActivation, Dropout kDropout>
__global__ void __launch_bounds__(kGroupNormMaxThreads, 1)
    group_norm_backward_gradient_kernel(const GroupNormPlan plan, const Args<T> args, int first_unit,
                                        const TwoPhaseScratch scratch) {
  constexpr int kWidth = Packed<T>::kWidth;
  const Block block = this_block(plan, first_unit);
  const Lane lane = this_lane(plan, block);
  const Arrays arrays(plan);
  for_each_column(plan, block, [&](int column, int, int) {
    arrays.factor[column] = scratch.factor[block.unit * plan.columns() + column];
    arrays.constant[column] = scratch.constant[block.unit * plan.columns() + column];
  });
  write_terms(plan, args, block, arrays.terms);
  const LaneTerms<kWidth> terms(arrays.terms, lane);
  const ActivationGradient<T, kActivation, kDropout> activation(plan, args.dropout, lane);
  const InputGradient<T> gradient(plan, args, lane, arrays.factor, arrays.constant);
  for_each_vector(plan, args, lane, CacheHint::kStreaming,
                  [&](const Packed<T>& x, const Packed<T>& dy, int pixel) {
                    float centered[kWidth];
                    float dw[kWidth];
                    activation.unpack(x, dy, pixel, terms, centered, dw);
                    gradient.store(terms, centered, dw, pixel);
                  });
}

constexpr int kSumChannels = 32;
constexpr int kSumImages = 8;

// Math: gradient[c] += sum over images of images[n,c], for each parameter whose gradient is not null.
// Threads: a block has 32 channels of one parameter; its 8 rows of threads take every 8th image, and the
// first row adds the 8 sums in order.
// Shared: 1 KB.
// Traffic: `images` once. 1 FLOP per element.
__global__ void __launch_bounds__(kSumChannels* kSumImages)
    group_norm_parameter_gradients_kernel(int n, int channels, const ImageGradients images, float* dgamma,
                                          float* dbeta, float* dbias) {
  struct Shared {
    float sums[kSumImages][kSumChannels];
  };
  Shared& shared = block_shared<Shared>();
  const float* of_images = blockIdx.y == 0 ? images.gamma : blockIdx.y == 1 ? images.beta : images.bias;
  float* gradient = blockIdx.y == 0 ? dgamma : blockIdx.y == 1 ? dbeta : dbias;
  if (gradient == nullptr) return;
  const int lane = static_cast<int>(threadIdx.x);
  const int row = static_cast<int>(threadIdx.y);
  const int channel = static_cast<int>(blockIdx.x) * kSumChannels + lane;
  float sum = 0;
  if (channel < channels) {
#pragma unroll 8
    for (int image = row; image < n; image += kSumImages)
      sum += of_images[static_cast<int64_t>(image) * channels + channel];
  }
  shared.sums[row][lane] = sum;
  __syncthreads();
  if (row != 0 || channel >= channels) return;
  float total = 0;
#pragma unroll
  for (int r = 0; r < kSumImages; ++r) total += shared.sums[r][lane];
  gradient[channel] += total;
}

size_t image_gradient_floats(const GroupNormParams& params) { return size_t(params.n) * params.channels(); }

size_t partial_floats(const GroupNormPlan& plan) {
  return size_t(plan.units()) * plan.chunks() * kParameters * plan.columns();
}

size_t scratch_bytes(const GroupNormPlan& plan) {
  size_t floats = kParameters * image_gradient_floats(plan.params);
  if (plan.path == GroupNormPath::kTwoPhase)
    floats += partial_floats(plan) + size_t(plan.units()) * (2 * plan.columns() + 1);
  return sizeof(float) * floats;
}

template <typename T>
void two_phases(const GroupNormPlan& plan, const Args<T>& args, const ImageGradients& images, float* memory,
                const GroupNormTuning& tuning, StreamView stream) {
  const size_t unit_columns = size_t(plan.units()) * plan.columns();
  TwoPhaseScratch scratch{};
  scratch.partial = memory;
  scratch.factor = scratch.partial + partial_floats(plan);
  scratch.constant = scratch.factor + unit_columns;
  scratch.arrived = reinterpret_cast<unsigned*>(scratch.constant + unit_columns);
  detail::fill_async(scratch.arrived, 0, sizeof(unsigned) * plan.units(), stream);
  const int range = units_per_range(plan, GroupNormPass::kBackward, tuning);
  for (int first = 0; first < plan.units(); first += range) {
    const LaunchConfig config{.grid = int64_t{std::min(range, plan.units() - first)} * plan.chunks(),
                              .block = plan.threads(),
                              .shared_bytes = plan.shared_bytes(kBackwardArrays),
                              .stream = stream};
    with_options(plan.params, [&]<Activation kActivation, Dropout kDropout>() {
      launch(group_norm_backward_sums_kernel<T, kActivation, kDropout>, config, plan, args, first, images,
             scratch);
      launch(group_norm_backward_gradient_kernel<T, kActivation, kDropout>, config, plan, args, first,
             scratch);
    });
  }
}

}  // namespace

size_t group_norm_backward_scratch_bytes(const GroupNormParams& params, const GroupNormTuning& tuning) {
  return std::max(scratch_bytes(plan_group_norm(params, 2, GroupNormPass::kBackward, tuning)),
                  scratch_bytes(plan_group_norm(params, 4, GroupNormPass::kBackward, tuning)));
}

template <typename T>
void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<T, float>& args,
                         void* scratch, StreamView stream, const GroupNormTuning& tuning) {
  const GroupNormPlan plan = plan_group_norm(params, sizeof(T), GroupNormPass::kBackward, tuning);
  const size_t floats = image_gradient_floats(params);
  auto* memory = static_cast<float*>(scratch);
  const ImageGradients images{memory, memory + floats, memory + 2 * floats};
  if (plan.path == GroupNormPath::kTwoPhase) {
    two_phases(plan, args, images, memory + kParameters * floats, tuning, stream);
  } else {
    with_options(params, [&]<Activation kActivation, Dropout kDropout>() {
      launch(group_norm_backward_kernel<T, kActivation, kDropout>,
             {.grid = plan.units(),
              .block = plan.threads(),
              .shared_bytes = plan.shared_bytes(kBackwardArrays),
              .stream = stream},
             plan, args, images);
    });
  }
  launch(group_norm_parameter_gradients_kernel,
         {.grid = {ceil_div(params.channels(), kSumChannels), kParameters},
          .block = {kSumChannels, kSumImages},
          .stream = stream},
         params.n, params.channels(), images, args.dgamma, args.dbeta, args.dbias);
}

size_t group_norm_backward_scratch_bytes(const GroupNormParams& params) {
  return group_norm_backward_scratch_bytes(params, GroupNormTuning{});
}

template <typename T>
void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<T, float>& args,
                         void* scratch, StreamView stream) {
  group_norm_backward(params, args, scratch, stream, GroupNormTuning{});
}

template void group_norm_backward(const GroupNormParams&, const GroupNormBackwardArgs<float, float>&, void*,
                                  StreamView);
template void group_norm_backward(const GroupNormParams&, const GroupNormBackwardArgs<BFloat16, float>&,
                                  void*, StreamView);
template void group_norm_backward(const GroupNormParams&, const GroupNormBackwardArgs<float, float>&, void*,
                                  StreamView, const GroupNormTuning&);
template void group_norm_backward(const GroupNormParams&, const GroupNormBackwardArgs<BFloat16, float>&,
                                  void*, StreamView, const GroupNormTuning&);

}  // namespace ddpm::cuda
