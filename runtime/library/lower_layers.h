// The Lowering builder and what the lower_*.cpp files share: convolutions, linear layers and attention as
// library calls and kernels. Which layer becomes what: lowering.h.
#pragma once

#include <algorithm>
#include <type_traits>

#include "kernels/cuda/kernels.h"
#include "runtime/library/lowering.h"

namespace ddpm {

// The bytes of `elements` that are each moved `times` times.
template <typename T>
double bytes_of(int64_t elements, double times = 1) {
  return times * static_cast<double>(elements) * sizeof(T);
}

// Builds a LaunchList, one operation after another.
template <typename T>
class Lowering {
 public:
  static constexpr ElementType kType = kElementType<T>;

  // All arguments must outlive this object.
  Lowering(const MemoryPlan& plan, const UpsampleForms& forms, Fusions fusions)
      : plan_(plan), forms_(forms), fusions_(fusions) {}

  void begin_operation(size_t index) {
    operation_ = index;
    scratch_taken_ = 0;
  }
  LaunchList<T> finish() && { return std::move(list_); }

  // compute(): an activation, or a parameter in the type that library ops compute with. master(): a parameter
  // or its gradient, in float.
  static Place compute(BufferId id) { return {.buffer = id, .type = kType}; }
  static Place master(BufferId id) { return {.buffer = id, .type = ElementType::kFloat}; }
  // Uninitialized memory until the end of this operation, 256-byte aligned.
  Place scratch(int64_t bytes) {
    constexpr int64_t kAlignment = 256;
    const int64_t begin = scratch_taken_;
    scratch_taken_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    list_.scratch_bytes = std::max(list_.scratch_bytes, static_cast<size_t>(scratch_taken_));
    return {.scratch = begin, .type = kType};
  }
  Place scratch_elements(int64_t count) { return scratch(count * int64_t{sizeof(T)}); }

  // Whether two operands of this operation share memory: the same buffer, or one that
  // takes over the other's memory.
  bool are_one(BufferId a, BufferId b) const {
    if (a == b) return true;
    const Placement &of_a = plan_.placements[static_cast<size_t>(a)],
                    &of_b = plan_.placements[static_cast<size_t>(b)];
    return of_a.offset >= 0 && of_a.offset == of_b.offset;
  }
  UpsampleForm form_of(const UpsampleConv2dShape& shape) const { return forms_.of(shape); }

  // Whether the library supports this optional fusion (a problem with a bias); also lists it as considered.
  bool fuses(const ConvolutionProblem& fused) { return fuses(fused, list_.convolution_fusions); }
  bool fuses(const GemmProblem& fused) { return fuses(fused, list_.gemm_fusions); }

  void convolution(const ConvolutionLaunch& call) { list_.launches.push_back({operation_, call}); }
  void gemm(const GemmLaunch& call) { list_.launches.push_back({operation_, call}); }
  void kernel(double bytes, std::function<void(const Addresses<T>&, StreamView)> launch) {
    list_.launches.push_back({operation_, KernelLaunch<T>{std::move(launch), bytes}});
  }

 private:
  template <typename Problem>
  bool fuses(const Problem& fused, std::vector<Problem>& considered) {
    if (std::find(considered.begin(), considered.end(), fused) == considered.end())
      considered.push_back(fused);
    return fusions_ != nullptr && fusions_->fuses(fused);
  }

  const MemoryPlan& plan_;
  const UpsampleForms& forms_;
  Fusions fusions_;
  LaunchList<T> list_;
  size_t operation_ = 0;
  int64_t scratch_taken_ = 0;
};

// Biases are in T, the type of the weights that layers compute with: the only bias type that cuBLASLt
// supports with outputs of type T (cublasLt.h on CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE).

// Writes bias + residual (kNoBuffer: none) to y (rows, channels), for a library call to accumulate on.
// Returns whether there is either; if not, y is undefined and the call must overwrite it.
template <typename T>
bool start_output(Lowering<T>& to, int64_t rows, int channels, BufferId bias, BufferId residual, BufferId y) {
  const Place b = to.compute(bias), r = to.compute(residual), out = to.compute(y);
  if (bias != kNoBuffer) {
    to.kernel(bytes_of<T>(rows * channels, residual == kNoBuffer ? 1 : 2),
              [=](const Addresses<T>& at, StreamView stream) {
                cuda::broadcast_bias<T>(rows, channels, at.template of<T>(b), at.template of<T>(r),
                                        at.template of<T>(out), stream);
              });
  } else if (residual != kNoBuffer && !to.are_one(residual, y)) {
    to.kernel(bytes_of<T>(rows * channels, 2), [=](const Addresses<T>& at, StreamView stream) {
      cuda::convert<T, T>(rows * channels, at.template of<T>(r), at.template of<T>(out), stream);
    });
  }
  return bias != kNoBuffer || residual != kNoBuffer;
}

// d = GEMM + bias + c, where bias and c may be absent: in the library's epilogue if it fuses the bias,
// otherwise accumulated on what a kernel wrote to d. call.c, bias and d are buffers.
template <typename T>
void gemm_layer(Lowering<T>& to, GemmLaunch call) {
  GemmProblem& problem = call.problem;
  problem.beta = call.c.is_present() ? 1.0F : 0.0F;
  problem.bias = call.bias.is_present();
  if (problem.bias && !to.fuses(problem)) {
    start_output(to, problem.m, static_cast<int>(problem.n), call.bias.buffer, call.c.buffer, call.d.buffer);
    problem = without_bias(problem);
    call.bias = {};
    call.c = call.d;
  }
  to.gemm(call);
}

// dbias and also_dbias (kNoBuffer: none) += sum of dy (rows, channels) over its rows.
template <typename T>
void add_bias_gradient(Lowering<T>& to, int64_t rows, int channels, BufferId dy, BufferId dbias,
                       BufferId also_dbias = kNoBuffer) {
  if (dbias == kNoBuffer) return;
  const Place scratch = to.scratch(static_cast<int64_t>(cuda::bias_gradient_scratch_bytes(rows, channels)));
  const Place from = to.compute(dy), sum = to.master(dbias), also = to.master(also_dbias);
  to.kernel(bytes_of<T>(rows * channels), [=](const Addresses<T>& at, StreamView stream) {
    cuda::bias_gradient<T>(rows, channels, at.template of<T>(from),
                           {at.template of<float>(sum), at.template of<float>(also)}, at.of(scratch), stream);
  });
}

// lower_convolution.cpp
template <typename T>
void lower_layer(Lowering<T>& to, const Conv2d& op);
template <typename T>
void lower_layer(Lowering<T>& to, const Conv2dBackwardData& op);
template <typename T>
void lower_layer(Lowering<T>& to, const Conv2dBackwardWeight& op);
// The same with x or dx in scratch memory, for convolutions of an upsampled image.
template <typename T>
void lower_convolution(Lowering<T>& to, const Conv2d& op, const Place& x);
template <typename T>
void lower_data_gradient(Lowering<T>& to, const Conv2dBackwardData& op, const Place& dx);
template <typename T>
void lower_weight_gradient(Lowering<T>& to, const Conv2dBackwardWeight& op, const Place& x);

// lower_upsample.cpp
template <typename T>
void lower_layer(Lowering<T>& to, const UpsampleConv2d& op);
template <typename T>
void lower_layer(Lowering<T>& to, const UpsampleConv2dBackwardData& op);
template <typename T>
void lower_layer(Lowering<T>& to, const UpsampleConv2dBackwardWeight& op);

// lower_linear.cpp
template <typename T>
void lower_layer(Lowering<T>& to, const Linear& op);
template <typename T>
void lower_layer(Lowering<T>& to, const LinearBackward& op);

// lower_attention.cpp
template <typename T>
void lower_layer(Lowering<T>& to, const Attention& op);
template <typename T>
void lower_layer(Lowering<T>& to, const AttentionBackward& op);

}  // namespace ddpm
