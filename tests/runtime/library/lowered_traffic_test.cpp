// The bytes that the products of a training step move, library calls and the kernels around them, beside the
// ideal ones of operations' cost(): each input read once, each output written once. Needs no GPU; tells
// nothing of time. What it prints stands in docs/perf-log.md.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>

#include "device/bfloat16.h"
#include "model/training/training_program.h"
#include "model/unet/presets.h"
#include "runtime/library/lowering.h"
#include "runtime/program/memory_plan.h"
#include "support/overloaded.h"

namespace ddpm {
namespace {

using T = BFloat16;

// Where convolutions add bias and residual, which is measured; matrix products do it in their epilogues.
enum class ConvolutionBias { kFirst, kInEpilogue };

// Sums what steps move; a library is taken to read and write each operand once.
class Traffic final : public ProductSteps {
 public:
  explicit Traffic(ConvolutionBias bias) : bias_(bias) {}

  bool fuses(const ConvolutionProblem&) override { return bias_ == ConvolutionBias::kInEpilogue; }
  bool fuses(const GemmProblem&) override { return true; }
  void convolution(const ConvolutionProblem& problem, const ConvolutionTensors&) override {
    const Conv2dShape& s = problem.shape;
    const int64_t written = problem.direction == ConvolutionDirection::kForward        ? s.y_elements()
                            : problem.direction == ConvolutionDirection::kBackwardData ? s.x_elements()
                                                                                       : s.weight_elements();
    const int64_t elements = s.x_elements() + s.y_elements() + s.weight_elements();
    const int64_t added = problem.accumulate || problem.residual ? written : 0;
    library += static_cast<double>((elements + added) * element_bytes(problem.type));
  }
  void gemm(const GemmProblem& p, const GemmTensors&) override {
    const int64_t output = p.m * p.n * (p.beta == 0 ? 1 : 2);
    library += static_cast<double>(
        p.batch * ((p.m + p.n) * p.k * element_bytes(p.input) + output * element_bytes(p.output)));
  }
  void kernel(double bytes, const std::function<void(StreamView)>&) override { kernels += bytes; }

  double moved() const { return library + kernels; }

  double library = 0, kernels = 0, ideal = 0;

 private:
  void* scratch_at(size_t) override { return nullptr; }

  ConvolutionBias bias_;
};

// Addresses as the memory plan gives them, so that what is computed in place is seen to be.
class PlannedMemory {
 public:
  PlannedMemory(const Program& program, const MemoryPlan& plan) : program_(program), plan_(plan) {}
  T* real(BufferId id) const { return at<T>(id); }
  float* master(BufferId id) const { return at<float>(id); }
  const T* weight(BufferId id) const { return at<T>(id); }

 private:
  template <typename U>
  U* at(BufferId id) const {
    if (id == kNoBuffer) return nullptr;
    constexpr uintptr_t kArenas = uintptr_t{1} << 40;  // apart from each other and from null
    const Placement& placement = plan_.placements[static_cast<size_t>(id)];
    const bool is_planned = program_.buffer(id).role == Role::kActivation;
    return reinterpret_cast<U*>(is_planned ? kArenas + static_cast<uintptr_t>(placement.offset)
                                           : (static_cast<uintptr_t>(id) + 2) * kArenas);
  }

  const Program& program_;
  const MemoryPlan& plan_;
};

constexpr int kBatch = 128;

Traffic traffic_of(const char* preset, ConvolutionBias bias) {
  const Program program =
      training_program({.network = find_preset(preset).network, .batch = kBatch, .dataset_count = kBatch})
          .program;
  const MemoryPlan plan = plan_memory(program, {.compute = sizeof(T), .master = sizeof(float)});
  const PlannedMemory memory(program, plan);
  Traffic traffic(bias);
  const UpsampleForms forms{LoweringOptions{}};
  const Overloaded visitor{ProductOperations<T, PlannedMemory>(traffic, memory, forms), [](const auto&) {}};
  for (const Operation& operation : program.operations()) {
    const double before = traffic.moved();
    std::visit(visitor, operation.operation);
    if (traffic.moved() > before) traffic.ideal += cost(operation.operation, sizeof(T)).bytes;
  }
  return traffic;
}

// In MB an image, beyond the ideal.
void expect_surplus(const char* preset, ConvolutionBias bias, double expected) {
  constexpr double kPerImage = 1e-6 / kBatch;
  const Traffic traffic = traffic_of(preset, bias);
  const double surplus = (traffic.moved() - traffic.ideal) * kPerImage;
  std::printf("%s, bias %s, MB an image: ideal %.2f, library %.2f, kernels %.2f, surplus %.2f\n", preset,
              bias == ConvolutionBias::kFirst ? "first" : "in the epilogue", traffic.ideal * kPerImage,
              traffic.library * kPerImage, traffic.kernels * kPerImage, surplus);
  EXPECT_NEAR(surplus, expected, 0.05) << "the last digit that docs/perf-log.md gives";
}

TEST(ProductTraffic, OfATrainingStepIsWhatThePerfLogSays) {
  expect_surplus("ddpm-cifar10-32", ConvolutionBias::kFirst, 23.9);
  expect_surplus("ddpm-cifar10-32", ConvolutionBias::kInEpilogue, 21.4);
  expect_surplus("ddim-celeba-64", ConvolutionBias::kFirst, 61.3);
  expect_surplus("ddim-celeba-64", ConvolutionBias::kInEpilogue, 51.2);
}

}  // namespace
}  // namespace ddpm
