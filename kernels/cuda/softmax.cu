// The softmax over rows and its backward pass. A row is read once and stays in registers;
// kernels/cuda/softmax_plan.h chooses how many threads share it.
#include <cstdint>

#include "device/launch.h"
#include "device/reduce.h"
#include "device/shared_memory.h"
#include "device/vector.h"
#include "kernels/cuda/check_arguments.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/softmax_plan.h"

namespace ddpm::cuda {
namespace {

struct Shared {
  BlockReduceScratch<float> scratch;
};

// Over the threads of a row; all threads of the block must call it.
template <int kLanes, typename Operation>
__device__ __forceinline__ float row_reduce(float value, Operation operation) {
  if constexpr (kLanes <= kWarpSize) {
    return warp_reduce<kLanes>(value, operation);
  } else {
    return block_reduce(value, operation, block_shared<Shared>().scratch);
  }
}

// Whether rows are whole numbers of 16-byte vectors. Other rows, such as those of attention at 2x2 in bf16,
// are read and written element by element.
enum class Rows { kOfVectors, kOfElements };

// A thread's part of a row: kVectors vectors, kLanes apart. Elements after the end of the row, and rows after
// the last one, hold `missing` and never touch memory.
template <int kLanes, int kVectors, Rows kRows, typename T>
class RowPart {
 public:
  static constexpr int kWidth = Packed<T>::kWidth;

  __device__ RowPart(int64_t rows, int length) {
    const int64_t row = static_cast<int64_t>(blockIdx.x) * (blockDim.x / kLanes) + threadIdx.x / kLanes;
    first_ = static_cast<int>(threadIdx.x % kLanes) * kWidth;
    length_ = row < rows ? length : 0;
    at_ = row * length + first_;
  }

  __device__ void load(const T* from, float missing, float (&to)[kVectors][kWidth]) const {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (kRows == Rows::kOfElements) {
#pragma unroll
        for (int k = 0; k < kWidth; ++k)
          to[v][k] = first_ + v * kStep + k < length_ ? to_float(from[at_ + v * kStep + k]) : missing;
      } else if (first_ + v * kStep < length_) {
        load_floats(from + at_ + v * kStep, to[v], CacheHint::kStreaming);
      } else {
#pragma unroll
        for (int k = 0; k < kWidth; ++k) to[v][k] = missing;
      }
    }
  }

  __device__ void store(T* to, const float (&from)[kVectors][kWidth]) const {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (kRows == Rows::kOfElements) {
#pragma unroll
        for (int k = 0; k < kWidth; ++k)
          if (first_ + v * kStep + k < length_) to[at_ + v * kStep + k] = from_float<T>(from[v][k]);
      } else if (first_ + v * kStep < length_) {
        store_floats(to + at_ + v * kStep, from[v]);
      }
    }
  }

 private:
  static constexpr int kStep = kLanes * kWidth;
  int first_;
  int length_;
  int64_t at_;
};

// Math: p[r,i] = exp(scale (x[r,i] - max over j of x[r,j])) / (sum of these over i).
// Threads: kLanes per row, kVectors vectors each; the sum is taken over a thread's own values, then
// over the threads.
// Shared: 128 bytes if a row has a block of its own.
// Traffic: x and p once. 10 FLOPs per element.
// Preconditions: the row fits (softmax_plan) and matches kRows; scale > 0; p may be x.
template <int kLanes, int kVectors, int kThreads, Rows kRows, typename T>
__global__ void __launch_bounds__(kThreads)
    softmax_kernel(int64_t rows, int length, float scale_log2_e, const T* x, T* p) {
  using Part = RowPart<kLanes, kVectors, kRows, T>;
  const Part part(rows, length);
  float values[kVectors][Part::kWidth];
  part.load(x, -__builtin_huge_valf(), values);
  float largest = values[0][0];
#pragma unroll
  for (int v = 0; v < kVectors; ++v)
#pragma unroll
    for (int k = 0; k < Part::kWidth; ++k) largest = fmaxf(largest, values[v][k]);
  largest = row_reduce<kLanes>(largest, Max{});
  float sum = 0;
#pragma unroll
  for (int v = 0; v < kVectors; ++v)
#pragma unroll
    for (int k = 0; k < Part::kWidth; ++k) {
      values[v][k] = exp2f((values[v][k] - largest) * scale_log2_e);
      sum += values[v][k];
    }
  const float inverse = 1.0f / row_reduce<kLanes>(sum, Sum{});
#pragma unroll
  for (int v = 0; v < kVectors; ++v)
#pragma unroll
    for (int k = 0; k < Part::kWidth; ++k) values[v][k] *= inverse;
  part.store(p, values);
}

// Math: dx[r,i] = scale p[r,i] (dp[r,i] - sum over j of dp[r,j] p[r,j]).
// Threads, shared memory: as above.
// Traffic: p, dp and dx once. 5 FLOPs per element.
// Preconditions: as above; dx may be dp.
template <int kLanes, int kVectors, int kThreads, Rows kRows, typename T>
__global__ void __launch_bounds__(kThreads)
    softmax_backward_kernel(int64_t rows, int length, float scale, const T* __restrict__ p, const T* dp,
                            T* dx) {
  using Part = RowPart<kLanes, kVectors, kRows, T>;
  const Part part(rows, length);
  float probabilities[kVectors][Part::kWidth];
  float gradients[kVectors][Part::kWidth];
  part.load(p, 0, probabilities);
  part.load(dp, 0, gradients);
  float sum = 0;
#pragma unroll
  for (int v = 0; v < kVectors; ++v)
#pragma unroll
    for (int k = 0; k < Part::kWidth; ++k) sum += probabilities[v][k] * gradients[v][k];
  sum = row_reduce<kLanes>(sum, Sum{});
#pragma unroll
  for (int v = 0; v < kVectors; ++v)
#pragma unroll
    for (int k = 0; k < Part::kWidth; ++k)
      gradients[v][k] = scale * probabilities[v][k] * (gradients[v][k] - sum);
  part.store(dx, gradients);
}

// Calls function(std::integral_constant<int, i>) for the plan i that softmax_plan chose.
template <int kPlan = 0, typename Function>
void with_plan(int plan, Function function) {
  if constexpr (kPlan < kSoftmaxPlans) {
    if (plan == kPlan) {
      function(std::integral_constant<int, kPlan>());
    } else {
      with_plan<kPlan + 1>(plan, function);
    }
  }
}

// Calls function with the plan and the kind of row, both as constants. Throws InputError if no plan fits.
template <typename T, typename Function>
void with_checked_plan(const char* kernel, const SoftmaxParams& params, Function function) {
  constexpr int kWidth = Packed<T>::kWidth;
  require_in_range(kernel, "row length", params.length, 1, longest_softmax_row(kWidth));
  require_positive(kernel, "scale", params.scale);
  with_plan(softmax_plan(params.length, kWidth), [&](auto plan) {
    if (params.length % kWidth == 0) {
      function(plan, std::integral_constant<Rows, Rows::kOfVectors>());
    } else {
      function(plan, std::integral_constant<Rows, Rows::kOfElements>());
    }
  });
}

}  // namespace

template <typename T>
void softmax(const SoftmaxParams& params, const SoftmaxArgs<T>& args, StreamView stream) {
  constexpr double kLog2E = 1.4426950408889634;
  with_checked_plan<T>("softmax", params, [&](auto index, auto rows) {
    constexpr SoftmaxPlan plan = kSoftmaxPlan[index()];
    launch(softmax_kernel<plan.lanes, plan.vectors, plan.threads, rows(), T>,
           {.grid = ceil_div(params.rows, plan.rows_per_block()), .block = plan.threads, .stream = stream},
           params.rows, params.length, params.scale * kLog2E, args.x, args.p);
  });
}

template <typename T>
void softmax_backward(const SoftmaxParams& params, const SoftmaxBackwardArgs<T>& args, StreamView stream) {
  with_checked_plan<T>("softmax_backward", params, [&](auto index, auto rows) {
    constexpr SoftmaxPlan plan = kSoftmaxPlan[index()];
    launch(softmax_backward_kernel<plan.lanes, plan.vectors, plan.threads, rows(), T>,
           {.grid = ceil_div(params.rows, plan.rows_per_block()), .block = plan.threads, .stream = stream},
           params.rows, params.length, params.scale, args.p, args.dp, args.dx);
  });
}

template void softmax(const SoftmaxParams&, const SoftmaxArgs<float>&, StreamView);
template void softmax(const SoftmaxParams&, const SoftmaxArgs<BFloat16>&, StreamView);
template void softmax_backward(const SoftmaxParams&, const SoftmaxBackwardArgs<float>&, StreamView);
template void softmax_backward(const SoftmaxParams&, const SoftmaxBackwardArgs<BFloat16>&, StreamView);

}  // namespace ddpm::cuda
