#include "runtime/cuda/plan_trials.h"

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "kernels/cuda/kernels.h"
#include "kernels/device/bfloat16.h"

namespace ddpm {
namespace {

using Sizes = std::array<size_t, 3>;
constexpr size_t kOutput = 2;  // of products that have a bias

// Of x, w, y.
Sizes bytes_of(const ConvolutionProblem& p) {
  const auto bytes = [&](int64_t elements) { return static_cast<size_t>(elements * element_bytes(p.type)); };
  return {bytes(p.shape.x_elements()), bytes(p.shape.weight_elements()), bytes(p.shape.y_elements())};
}

// From the tensor's begin to the operand's last element.
size_t operand_bytes(const MatrixProblem& p, const MatrixOperand& operand, int64_t rows, int64_t columns,
                     ProductType type) {
  if (operand.transpose == Transpose::kYes) std::swap(rows, columns);
  const int64_t elements =
      operand.begin + (p.batch - 1) * operand.batch_stride + (rows - 1) * operand.leading_dimension + columns;
  return static_cast<size_t>(elements * element_bytes(type));
}

// Of a, b, d.
Sizes bytes_of(const MatrixProblem& p) {
  return {operand_bytes(p, p.a, p.m, p.k, p.input), operand_bytes(p, p.b, p.k, p.n, p.input),
          operand_bytes(p, p.d, p.m, p.n, p.output)};
}

Sizes bytes_of(const ProductProblems& problems) {
  Sizes largest{};
  const auto include = [&](const Sizes& sizes) {
    for (size_t i = 0; i < sizes.size(); ++i) largest[i] = std::max(largest[i], sizes[i]);
  };
  for (const ConvolutionProblem& problem : problems.convolutions) include(bytes_of(problem));
  for (const MatrixProblem& problem : problems.matrices) include(bytes_of(problem));
  return largest;
}

// Values as a network has them: a GPU draws less power on constant bits, and then clocks higher than in
// earnest. Read as float, a pair of them is a value in (-1, 1) too.
std::vector<BFloat16> random_values(size_t count) {
  std::mt19937 engine(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<BFloat16> values(count);
  for (BFloat16& value : values) value = to_bfloat16(uniform(engine));
  return values;
}

DeviceBuffer<std::byte> random_pattern(StreamView stream) {
  constexpr size_t kElements = size_t{1} << 22;
  const std::vector<BFloat16> values = random_values(kElements);
  DeviceBuffer<std::byte> pattern(kElements * sizeof(BFloat16));
  copy_to_device<std::byte>(std::as_bytes(std::span(values)), pattern.span(), stream);
  stream.synchronize();  // the values go
  return pattern;
}

// With the pattern, again and again.
void fill(const DeviceBuffer<std::byte>& buffer, const DeviceBuffer<std::byte>& pattern, StreamView stream) {
  for (size_t begin = 0; begin < buffer.size(); begin += pattern.size()) {
    const size_t count = std::min(pattern.size(), buffer.size() - begin);
    copy_on_device<std::byte>(pattern.span().subspan(0, count), buffer.span().subspan(begin, count), stream);
  }
}

size_t bias_bytes(const ProductProblems& problems) {
  int64_t largest = 0;
  for (const ConvolutionProblem& p : problems.convolutions)
    if (p.bias) largest = std::max<int64_t>(largest, int64_t{p.shape.k} * element_bytes(p.type));
  for (const MatrixProblem& p : problems.matrices)
    if (p.bias) largest = std::max(largest, p.n * element_bytes(p.output));
  return static_cast<size_t>(largest);
}

struct BiasStep {
  int64_t rows, channels;
  const void* bias;
  const void* residual;  // may be null
  void* y;
};

template <typename T>
void broadcast_bias(const BiasStep& step, StreamView stream) {
  cuda::broadcast_bias(step.rows, static_cast<int>(step.channels), static_cast<const T*>(step.bias),
                       static_cast<const T*>(step.residual), static_cast<T*>(step.y), stream);
}

void broadcast_bias(ProductType type, const BiasStep& step, StreamView stream) {
  (type == ProductType::kFloat ? broadcast_bias<float> : broadcast_bias<BFloat16>)(step, stream);
}

}  // namespace

PlanTrials::PlanTrials(const ProductProblems& problems, const PlanLimits& limits, StreamView stream)
    : problems_(problems), limits_(limits), stream_(stream) {}

PlanTrials::Memory& PlanTrials::memory() {
  if (!memory_) {
    using Bytes = DeviceBuffer<std::byte>;
    const Sizes bytes = bytes_of(problems_);
    memory_.emplace(Memory{{Bytes(bytes[0]), Bytes(bytes[1]), Bytes(bytes[kOutput]), Bytes(bytes[kOutput])},
                           Bytes(bias_bytes(problems_)),
                           Bytes(static_cast<size_t>(limits_.workspace_bytes)),
                           random_pattern(stream_)});
    renew_tensors();
  }
  return *memory_;
}

void PlanTrials::renew_tensors() {
  if (!memory_) return;
  for (const DeviceBuffer<std::byte>& tensor : memory_->tensors) fill(tensor, memory_->pattern, stream_);
  fill(memory_->bias, memory_->pattern, stream_);
}

bool PlanTrials::run(const CudnnHandle& handle, const ConvolutionProblem& problem,
                     const ConvolutionPlan& plan) {
  const Memory& at = memory();
  try {
    plan.run(handle.get(),
             {.x = at.tensors[0].data(),
              .w = at.tensors[1].data(),
              .y = at.tensors[kOutput].data(),
              .bias = problem.bias ? at.bias.data() : nullptr,
              .residual = problem.residual ? at.tensors[3].data() : nullptr},
             at.workspace.data());
    return true;
  } catch (const CudnnError&) {
    return false;
  }
}

bool PlanTrials::run_steps(const CudnnHandle& handle, const ConvolutionProblem& wish,
                           const ConvolutionPlan& adds) {
  const Memory& at = memory();
  const Conv2dShape& s = wish.shape;
  broadcast_bias(wish.type,
                 {.rows = int64_t{s.n} * s.p() * s.q(),
                  .channels = s.k,
                  .bias = at.bias.data(),
                  .residual = wish.residual ? at.tensors[3].data() : nullptr,
                  .y = at.tensors[kOutput].data()},
                 stream_);
  return run(handle, without_bias(wish), adds);
}

MatrixTensors PlanTrials::matrix_tensors() {
  const Memory& at = memory();
  return {.a = at.tensors[0].data(),
          .b = at.tensors[1].data(),
          .c = at.tensors[3].data(),
          .bias = at.bias.data(),
          .d = at.tensors[kOutput].data()};
}

bool PlanTrials::run(const CublasLtHandle& handle, const MatrixPlan& plan) {
  try {
    plan.run(handle, matrix_tensors(), memory().workspace.data(), stream_);
    return true;
  } catch (const CublasError&) {
    return false;
  }
}

bool PlanTrials::run_steps(const CublasLtHandle& handle, const MatrixProblem& wish, const MatrixPlan& adds) {
  MatrixTensors at = matrix_tensors();
  broadcast_bias(wish.output,
                 {.rows = wish.m,
                  .channels = wish.n,
                  .bias = at.bias,
                  .residual = wish.beta == 0 ? nullptr : at.c,
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
