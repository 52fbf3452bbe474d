#include "runtime/gpu/plain_library.h"

#include <algorithm>
#include <vector>

#include "device/bfloat16.h"
#include "device/emulator/emulator.h"
#include "kernels/reference/reference.h"
#include "support/error.h"

namespace ddpm {
namespace {

bool is_aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

template <typename Problem>
bool contains(const std::vector<Problem>& problems, const Problem& problem) {
  return std::find(problems.begin(), problems.end(), problem) != problems.end();
}

double load(const void* tensor, ElementType type, int64_t index) {
  return type == ElementType::kFloat ? static_cast<const float*>(tensor)[index]
                                     : to_float(static_cast<const BFloat16*>(tensor)[index]);
}

void store(void* tensor, ElementType type, int64_t index, double value) {
  if (type == ElementType::kFloat) {
    static_cast<float*>(tensor)[index] = static_cast<float>(value);
  } else {
    static_cast<BFloat16*>(tensor)[index] = to_bfloat16(static_cast<float>(value));
  }
}

std::vector<double> load_all(const void* tensor, ElementType type, int64_t count) {
  std::vector<double> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values[i] = load(tensor, type, i);
  return values;
}

void store_all(const void* tensor, ElementType type, const std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i)
    store(const_cast<void*>(tensor), type, static_cast<int64_t>(i), values[i]);
}

double element(const void* tensor, ElementType type, const GemmOperand& m, int64_t batch, int64_t row,
               int64_t column) {
  if (m.transpose == Transpose::kYes) std::swap(row, column);
  return load(tensor, type, m.begin + batch * m.batch_stride + row * m.leading_dimension + column);
}

void compute(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) {
  const Conv2dShape& s = problem.shape;
  const bool is_written[] = {problem.direction == ConvolutionDirection::kBackwardData,
                             problem.direction == ConvolutionDirection::kBackwardWeight,
                             problem.direction == ConvolutionDirection::kForward};
  const auto values = [&](const void* tensor, int64_t count, bool written) {
    return written && !problem.accumulate ? std::vector<double>(static_cast<size_t>(count))
                                          : load_all(tensor, problem.type, count);
  };
  std::vector<double> x = values(tensors.x, s.x_elements(), is_written[0]),
                      w = values(tensors.w, s.weight_elements(), is_written[1]),
                      y = values(tensors.y, s.y_elements(), is_written[2]);
  switch (problem.direction) {
    case ConvolutionDirection::kForward: {
      const std::vector<double> bias = load_all(tensors.bias, problem.type, problem.bias ? s.k : 0);
      if (problem.residual) y = load_all(tensors.residual, problem.type, s.y_elements());
      reference::conv2d<double>(s, {x.data(), w.data(), bias.data(), y.data(), y.data()});
      return store_all(tensors.y, problem.type, y);
    }
    case ConvolutionDirection::kBackwardData:
      reference::conv2d_backward_data<double>(s, {y.data(), w.data(), x.data(), x.data()});
      return store_all(tensors.x, problem.type, x);
    case ConvolutionDirection::kBackwardWeight:
      reference::conv2d_backward_weight<double>(s, {x.data(), y.data(), w.data(), nullptr});
      return store_all(tensors.w, problem.type, w);
  }
}

void compute(const GemmProblem& p, const GemmTensors& tensors) {
  for (int64_t batch = 0; batch < p.batch; ++batch)
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = 0; j < p.n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < p.k; ++l)
          sum +=
              element(tensors.a, p.input, p.a, batch, i, l) * element(tensors.b, p.input, p.b, batch, l, j);
        const double added = p.beta == 0 ? 0 : p.beta * element(tensors.c, p.output, p.d, batch, i, j);
        const double bias = p.bias ? load(tensors.bias, p.output, j) : 0;
        const int64_t at = p.d.begin + batch * p.d.batch_stride + i * p.d.leading_dimension + j;
        store(tensors.d, p.output, at, p.alpha * sum + added + bias);
      }
}

}  // namespace

void PlainLibrary::prepare(const LibraryProblems& problems, StreamView) { prepared_ = problems; }

LaunchFunction PlainLibrary::bind(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) {
  DDPM_CHECK(contains(prepared_.convolutions, problem));
  for (const void* tensor : {tensors.x, tensors.w, tensors.y, tensors.bias, tensors.residual})
    DDPM_CHECK(is_aligned(tensor));
  return [=](StreamView stream) { emulator::submit(stream, [=] { compute(problem, tensors); }); };
}

LaunchFunction PlainLibrary::bind(const GemmProblem& problem, const GemmTensors& tensors) {
  DDPM_CHECK(contains(prepared_.gemms, problem));
  for (const void* tensor :
       {tensors.a, tensors.b, tensors.c, tensors.bias, static_cast<const void*>(tensors.d)})
    DDPM_CHECK(is_aligned(tensor));
  DDPM_CHECK(problem.d.transpose == Transpose::kNo);
  return [=](StreamView stream) { emulator::submit(stream, [=] { compute(problem, tensors); }); };
}

}  // namespace ddpm
