#include "runtime/library/trial_runs.h"

#include <algorithm>
#include <array>
#include <utility>

#include "device/bfloat16.h"
#include "kernels/cuda/kernels.h"
#include "runtime/library/result_check.h"

namespace ddpm {
namespace {

using Sizes = std::array<size_t, 3>;
constexpr size_t kOutput = 2;  // y or d among the tensors

// Of x, w, y.
Sizes bytes_of(const ConvolutionProblem& p) {
  const auto bytes = [&](int64_t elements) { return static_cast<size_t>(elements * element_bytes(p.type)); };
  return {bytes(p.shape.x_elements()), bytes(p.shape.weight_elements()), bytes(p.shape.y_elements())};
}

// From the tensor's start to the operand's last element.
size_t operand_bytes(const GemmProblem& p, const GemmOperand& operand, int64_t rows, int64_t columns,
                     ElementType type) {
  if (operand.transpose == Transpose::kYes) std::swap(rows, columns);
  const int64_t elements =
      operand.begin + (p.batch - 1) * operand.batch_stride + (rows - 1) * operand.leading_dimension + columns;
  return static_cast<size_t>(elements * element_bytes(type));
}

// Of a, b, d.
Sizes bytes_of(const GemmProblem& p) {
  return {operand_bytes(p, p.a, p.m, p.k, p.input), operand_bytes(p, p.b, p.k, p.n, p.input),
          operand_bytes(p, p.d, p.m, p.n, p.output)};
}

Sizes bytes_of(const LibraryProblems& problems) {
  Sizes largest{};
  const auto include = [&](const Sizes& sizes) {
    for (size_t i = 0; i < sizes.size(); ++i) largest[i] = std::max(largest[i], sizes[i]);
  };
  for (const ConvolutionProblem& problem : problems.convolutions) include(bytes_of(problem));
  for (const GemmProblem& problem : problems.gemms) include(bytes_of(problem));
  return largest;
}

size_t bias_bytes(const LibraryProblems& problems) {
  int64_t largest = 0;
  for (const ConvolutionProblem& p : problems.convolutions)
    if (p.bias) largest = std::max<int64_t>(largest, int64_t{p.shape.k} * element_bytes(p.type));
  for (const GemmProblem& p : problems.gemms)
    if (p.bias) largest = std::max(largest, p.n * element_bytes(p.output));
  return static_cast<size_t>(largest);
}

struct BiasArgs {
  int64_t rows, channels;
  const void* bias;
  const void* residual;  // may be null
  void* y;
};

template <typename T>
void broadcast_bias(const BiasArgs& args, StreamView stream) {
  cuda::broadcast_bias(args.rows, static_cast<int>(args.channels), static_cast<const T*>(args.bias),
                       static_cast<const T*>(args.residual), static_cast<T*>(args.y), stream);
}

void broadcast_bias(ElementType type, const BiasArgs& args, StreamView stream) {
  (type == ElementType::kFloat ? broadcast_bias<float> : broadcast_bias<BFloat16>)(args, stream);
}

}  // namespace

TrialRuns::TrialRuns(const LibraryProblems& problems, const PlanLimits& limits, StreamView stream)
    : problems_(problems), limits_(limits), stream_(stream) {}

void TrialRuns::begin() {
  if (!memory_) {
    using Bytes = DeviceBuffer<std::byte>;
    const Sizes bytes = bytes_of(problems_);
    const size_t of_bias = bias_bytes(problems_);
    memory_.emplace(
        Memory{{Bytes(bytes[0]), Bytes(bytes[1]), Bytes(bytes[kOutput]), Bytes(bytes[kOutput])},
               Bytes(of_bias),
               Bytes(static_cast<size_t>(limits_.workspace_bytes)),
               TrialValues(std::max(*std::max_element(bytes.begin(), bytes.end()), of_bias), stream_)});
  }
  renew_tensors();
}

const TrialRuns::Memory& TrialRuns::memory() const {
  DDPM_CHECK(memory_.has_value());  // otherwise begin() was not called
  return *memory_;
}

void TrialRuns::renew_tensors() const {
  const Memory& at = memory();
  size_t count = 0;
  for (const DeviceBuffer<std::byte>& tensor : at.tensors) at.values.fill(tensor.span(), stream_, count++);
  at.values.fill(at.bias.span(), stream_, count);
}

// NaN in the first run, zeros in the second: reading the workspace before writing it shows.
void TrialRuns::soil_workspace(int run) const {
  fill_bytes(memory().workspace.span(), run == 0 ? 0xFF : 0, stream_);
}

ConvolutionTensors TrialRuns::tensors_of(const ConvolutionProblem& problem) const {
  const Memory& at = memory();
  return {.x = at.tensors[0].data(),
          .w = at.tensors[1].data(),
          .y = at.tensors[kOutput].data(),
          .bias = problem.bias ? at.bias.data() : nullptr,
          .residual = problem.residual ? at.tensors[3].data() : nullptr};
}

bool TrialRuns::run(const CudnnHandle& handle, const ConvolutionProblem& problem,
                    const ConvolutionPlan& plan) {
  try {
    plan.run(handle.get(), tensors_of(problem), memory().workspace.data());
    return true;
  } catch (const CudnnError&) {
    return false;
  }
}

std::optional<std::string> TrialRuns::find_fault(const CudnnHandle& handle, const ConvolutionProblem& problem,
                                                 const ConvolutionPlan& plan) {
  renew_tensors();
  return ResultCheck(problem, tensors_of(problem), stream_).find_fault([&, runs = 0]() mutable {
    renew_tensors();
    soil_workspace(runs++);
    return run(handle, problem, plan);
  });
}

std::optional<std::string> TrialRuns::find_fault(const CublasLtHandle& handle, const GemmProblem& problem,
                                                 const GemmPlan& plan) {
  renew_tensors();
  return ResultCheck(problem, matrix_tensors(), stream_).find_fault([&, runs = 0]() mutable {
    renew_tensors();
    soil_workspace(runs++);
    return run(handle, plan);
  });
}

bool TrialRuns::run_unfused(const CudnnHandle& handle, const ConvolutionProblem& fused,
                            const ConvolutionPlan& adds) {
  const Memory& at = memory();
  const Conv2dShape& s = fused.shape;
  broadcast_bias(fused.type,
                 {.rows = int64_t{s.n} * s.p() * s.q(),
                  .channels = s.k,
                  .bias = at.bias.data(),
                  .residual = fused.residual ? at.tensors[3].data() : nullptr,
                  .y = at.tensors[kOutput].data()},
                 stream_);
  return run(handle, without_bias(fused), adds);
}

GemmTensors TrialRuns::matrix_tensors() const {
  const Memory& at = memory();
  return {.a = at.tensors[0].data(),
          .b = at.tensors[1].data(),
          .c = at.tensors[3].data(),
          .bias = at.bias.data(),
          .d = at.tensors[kOutput].data()};
}

bool TrialRuns::run(const CublasLtHandle& handle, const GemmPlan& plan) {
  try {
    plan.run(handle, matrix_tensors(), memory().workspace.data(), stream_);
    return true;
  } catch (const CublasError&) {
    return false;
  }
}

bool TrialRuns::run_unfused(const CublasLtHandle& handle, const GemmProblem& fused, const GemmPlan& adds) {
  GemmTensors at = matrix_tensors();
  broadcast_bias(fused.output,
                 {.rows = fused.m,
                  .channels = fused.n,
                  .bias = at.bias,
                  .residual = fused.beta == 0 ? nullptr : at.c,
                  .y = at.d},
                 stream_);
  at.c = at.d;
  try {
    adds.run(handle, at, memory().workspace.data(), stream_);
    return true;
  } catch (const CublasError&) {
    return false;
  }
}

}  // namespace ddpm
