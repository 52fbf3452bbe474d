// Dynamic thresholds: a quantile of |x0| over each image, by radix selection.
#include <cmath>
#include <cstdint>

#include "device/launch.h"
#include "device/reduce.h"
#include "device/shared_memory.h"
#include "kernels/cuda/check_arguments.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/x0_estimate.h"

namespace ddpm::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kDigitBits = 8;
constexpr int kDigits = 1 << kDigitBits;

// The parameters that the kernel needs.
struct Quantile {
  int elements;  // of an image
  int channels;
  SamplerOutput output;
  int below;       // the quantile is between order statistic `below` (from 0) and the next,
  float fraction;  // at this fraction of the way
  float max_value;
};

struct Shared {
  int counts[kDigits];
  uint32_t digit;
  int rank;
  BlockReduceScratch<float> scratch;
};

template <typename T>
__device__ __forceinline__ float magnitude(const Quantile& quantile, const SamplerRow<float>& row,
                                           const float* x, const T* output, int image, int e) {
  const int64_t at = static_cast<int64_t>(image) * quantile.elements + e;
  const int64_t output_at = quantile.output == SamplerOutput::kMean
                                ? at
                                : mean_index(image, e, quantile.elements, quantile.channels);
  return fabsf(x0_estimate(row, x[at], to_float(output[output_at])));
}

// Finds the digit of the element with the given rank among the counted elements, and its rank among those
// with the same digit.
__device__ __forceinline__ void select_digit(int rank, Shared& shared) {
  const int digit = static_cast<int>(threadIdx.x);
  if (digit >= kDigits) return;
  int smaller = 0;
  for (int other = 0; other < digit; ++other) smaller += shared.counts[other];
  if (smaller > rank || rank >= smaller + shared.counts[digit]) return;
  shared.digit = static_cast<uint32_t>(digit);
  shared.rank = rank - smaller;
}

// Math: kernels/dynamic_threshold.h. Non-negative floats are ordered like their bits, so the order statistic
// is found digit by digit from the highest: count the digits of all elements that share the digits found so
// far, and see where the rank falls.
// Threads: one block per image; each thread reads every kThreads-th element five times, from L2
// after the first.
// Shared: about 1.2 KB.
// Traffic: x and output once. The counts are integers, so the order of additions does not matter.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    dynamic_threshold_kernel(Quantile quantile, const T* __restrict__ output,
                             const SamplerRow<float>* __restrict__ table, const int64_t* __restrict__ index,
                             const float* __restrict__ x, float* __restrict__ threshold) {
  Shared& shared = block_shared<Shared>();
  const SamplerRow<float>& row = table[*index];
  const int image = static_cast<int>(blockIdx.x);
  const int thread = static_cast<int>(threadIdx.x);

  uint32_t found = 0;
  int rank = quantile.below;
  for (int shift = 32 - kDigitBits; shift >= 0; shift -= kDigitBits) {
    if (thread < kDigits) shared.counts[thread] = 0;
    __syncthreads();
    for (int e = thread; e < quantile.elements; e += kThreads) {
      const uint32_t bits = __float_as_uint(magnitude(quantile, row, x, output, image, e));
      const uint64_t above =
          uint64_t{bits ^ found} >> (shift + kDigitBits);  // of 64 bits: the first shift is by 32
      if (above == 0) atomicAdd(&shared.counts[(bits >> shift) % kDigits], 1);
    }
    __syncthreads();
    select_digit(rank, shared);
    __syncthreads();
    found |= shared.digit << shift;
    rank = shared.rank;
  }
  const bool is_repeated = rank + 1 < shared.counts[shared.digit];
  const float low = __uint_as_float(found);

  float largest_negative = -__builtin_huge_valf();  // of -|x0| over the larger elements
  for (int e = thread; e < quantile.elements; e += kThreads) {
    const float value = magnitude(quantile, row, x, output, image, e);
    if (value > low) largest_negative = fmaxf(largest_negative, -value);
  }
  largest_negative = block_reduce(largest_negative, Max{}, shared.scratch);
  if (thread != 0) return;
  const bool is_last = quantile.below + 1 == quantile.elements;
  const float high = is_repeated || is_last ? low : -largest_negative;
  const float value = low + quantile.fraction * (high - low);
  threshold[image] = value < 1.0f ? 1.0f : (value > quantile.max_value ? quantile.max_value : value);
}

}  // namespace

template <typename T>
void dynamic_threshold(const DynamicThresholdParams& params, const DynamicThresholdArgs<T, float>& args,
                       StreamView stream) {
  const int64_t elements = params.step.image_elements();
  require_in_range("dynamic_threshold", "number of elements per image", elements, 1, 1 << 30);
  const double position = params.ratio * static_cast<double>(elements - 1);
  const Quantile quantile{.elements = static_cast<int>(elements),
                          .channels = params.step.c,
                          .output = params.step.output,
                          .below = static_cast<int>(position),
                          .fraction = static_cast<float>(position - std::floor(position)),
                          .max_value = static_cast<float>(params.max_value)};
  launch(dynamic_threshold_kernel<T>, {.grid = params.step.n, .block = kThreads, .stream = stream}, quantile,
         args.output, args.table, args.index, args.x, args.threshold);
}

template void dynamic_threshold(const DynamicThresholdParams&, const DynamicThresholdArgs<float, float>&,
                                StreamView);
template void dynamic_threshold(const DynamicThresholdParams&, const DynamicThresholdArgs<BFloat16, float>&,
                                StreamView);

}  // namespace ddpm::cuda
