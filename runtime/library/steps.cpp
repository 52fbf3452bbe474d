#include "runtime/library/steps.h"

#include <vector>

#include "support/error.h"

namespace ddpm {
namespace {

template <typename Problem>
void add_once(std::vector<Problem>& problems, const Problem& problem) {
  if (std::find(problems.begin(), problems.end(), problem) == problems.end()) problems.push_back(problem);
}

}  // namespace

bool ProductRun::fuses(const ConvolutionProblem& wish) { return primitives_.fuses(wish); }
bool ProductRun::fuses(const MatrixProblem& wish) { return primitives_.fuses(wish); }

void ProductRun::convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) {
  primitives_.convolution(problem, tensors, stream_);
}

void ProductRun::matrix_product(const MatrixProblem& problem, const MatrixTensors& tensors) {
  primitives_.matrix_product(problem, tensors, stream_);
}

void ProductRun::kernel(double, const std::function<void(StreamView)>& launch) { launch(stream_); }

void* ProductRun::scratch_at(size_t offset) {
  DDPM_CHECK(scratch_bytes() <= scratch_.size());  // else prepare() did not see this layer
  return scratch_.data() + offset;
}

bool ProductSurvey::fuses(const ConvolutionProblem& wish) {
  add_once(problems_.convolutions, wish);
  return false;
}

bool ProductSurvey::fuses(const MatrixProblem& wish) {
  add_once(problems_.matrices, wish);
  return false;
}

void ProductSurvey::convolution(const ConvolutionProblem& problem, const ConvolutionTensors&) {
  add_once(problems_.convolutions, problem);
}

void ProductSurvey::matrix_product(const MatrixProblem& problem, const MatrixTensors&) {
  add_once(problems_.matrices, problem);
}

void* ProductSurvey::scratch_at(size_t) { return nullptr; }

}  // namespace ddpm
