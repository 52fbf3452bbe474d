// The bytes that the library ops of a training step move, with the kernels around them, next to the ideal ones of
// operations' cost(): each input read once, each output written once. Needs no GPU and says nothing about time. What it
// prints is quoted in docs/perf-log.md.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <variant>
#include <vector>

#include "device/bfloat16.h"
#include "model/training/training_program.h"
#include "model/unet/presets.h"
#include "runtime/library/lowering.h"
#include "runtime/program/memory_plan.h"
#include "support/overloaded.h"

namespace ddpm {
namespace {

using T = BFloat16;

// Where convolutions add bias and residual, which is measured; GEMMs do it in their epilogues.
enum class ConvolutionBias { kFirst, kInEpilogue };

// Says what is fused, and computes nothing.
class FusionsOnly final : public VendorLibrary {
 public:
  explicit FusionsOnly(ConvolutionBias bias) : bias_(bias) {}

  void prepare(const LibraryProblems&, StreamView) override {}
  bool fuses(const ConvolutionProblem&) const override { return bias_ == ConvolutionBias::kInEpilogue; }
  bool fuses(const GemmProblem&) const override { return true; }
  LaunchFunction bind(const ConvolutionProblem&, const ConvolutionTensors&) override { return {}; }
  LaunchFunction bind(const GemmProblem&, const GemmTensors&) override { return {}; }

 private:
  ConvolutionBias bias_;
};

// Of the operations that are library calls, with the kernels around these; a library is taken to read and write each
// operand once.
struct Traffic {
  double moved() const { return library + kernels; }

  double library = 0, kernels = 0, ideal = 0;
};

double bytes_of(const ConvolutionProblem& problem) {
  const Conv2dShape& s = problem.shape;
  const int64_t written = problem.direction == ConvolutionDirection::kForward        ? s.y_elements()
                          : problem.direction == ConvolutionDirection::kBackwardData ? s.x_elements()
                                                                                     : s.weight_elements();
  const int64_t elements = s.x_elements() + s.y_elements() + s.weight_elements();
  const int64_t added = problem.accumulate || problem.residual ? written : 0;
  return static_cast<double>((elements + added) * element_bytes(problem.type));
}

double bytes_of(const GemmProblem& p) {
  const int64_t output = p.m * p.n * (p.beta == 0 ? 1 : 2);
  return static_cast<double>(p.batch *
                             ((p.m + p.n) * p.k * element_bytes(p.input) + output * element_bytes(p.output)));
}

constexpr int kBatch = 128;

Traffic traffic_of(const char* preset, ConvolutionBias bias) {
  const Program program =
      training_program({.network = find_preset(preset).network, .batch = kBatch, .dataset_count = kBatch})
          .program;
  const MemoryPlan plan = plan_memory(program, {.compute = sizeof(T), .master = sizeof(float)});
  const FusionsOnly fusions(bias);
  std::vector<Traffic> of_operation(program.operations().size());
  for (const Launch<T>& launch : lower<T>(program, plan, UpsampleForms(), &fusions).launches) {
    Traffic& traffic = of_operation[launch.operation];
    std::visit(Overloaded{[&](const KernelLaunch<T>& kernel) { traffic.kernels += kernel.bytes; },
                          [&](const auto& call) { traffic.library += bytes_of(call.problem); }},
               launch.what);
  }
  Traffic sum;
  for (size_t i = 0; i < of_operation.size(); ++i) {
    if (of_operation[i].library == 0) continue;
    sum.library += of_operation[i].library;
    sum.kernels += of_operation[i].kernels;
    sum.ideal += cost(program.operations()[i].operation, sizeof(T)).bytes;
  }
  return sum;
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

TEST(LoweredTraffic, TrainingStepMatchesThePerfLog) {
  expect_surplus("ddpm-cifar10-32", ConvolutionBias::kFirst, 23.9);
  expect_surplus("ddpm-cifar10-32", ConvolutionBias::kInEpilogue, 21.4);
  expect_surplus("ddim-celeba-64", ConvolutionBias::kFirst, 61.3);
  expect_surplus("ddim-celeba-64", ConvolutionBias::kInEpilogue, 51.2);
}

}  // namespace
}  // namespace ddpm
