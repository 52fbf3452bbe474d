// Every operation of training and sampling programs as the GPU executor runs it, one at a time, against the
// CPU executor in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <variant>

#include "runtime/cpu/cpu_executor.h"
#include "runtime/report/operation_comparison.h"
#include "tests/runtime/gpu/networks.h"
#include "tests/runtime/gpu/unmeasured_executors.h"

namespace ddpm {
namespace {

struct Case {
  const char* name;
  UnetConfig network;
  ComputePrecision precision;
  UpsampleForm upsample = UpsampleForm::kFolded;

  friend void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }
};

class GpuOperations : public testing::TestWithParam<Case> {
 protected:
  ErrorModel model() const { return error_model(GetParam().precision); }

  // Runs `phases` and expects every output to be within its bound; prints the worst ratio.
  void compare(std::initializer_list<Phase> phases, Executor& reference, Executor& device) {
    const std::vector<OutputError> errors = compare_operations(phases, reference, device, model());
    ASSERT_FALSE(errors.empty());
    for (const OutputError& error : errors) {
      kinds_.insert(error.kind);
      EXPECT_TRUE(error.is_within_bound()) << error.kind << ' ' << error.name << ' ' << error.output << ": "
                                           << error.error << ", bound " << error.bound;
    }
    const OutputError& worst = *std::max_element(
        errors.begin(), errors.end(),
        [](const OutputError& a, const OutputError& b) { return a.part_of_bound() < b.part_of_bound(); });
    std::printf("[  margin  ] %s %s %s: error / bound = %.3f\n", worst.kind.c_str(), worst.name.c_str(),
                worst.output.c_str(), worst.part_of_bound());
  }

  std::set<std::string> kinds_;
};

// With thresholding, and guidance where the network takes a condition.
GenerationOptions sampling_of(const UnetConfig& network) {
  return {.network = network,
          .schedule = {.timesteps = 20},
          .sampler = {.method = SamplerMethod::kDpmpp, .steps = 4, .thresholding = true},
          .conditioning = {.guidance_scale = network.class_embedding == ClassEmbedding::kTable ? 2.0 : 1.0},
          .batch = 2,
          .seed = 7};
}

SamplerTable table_of(const GenerationOptions& options) {
  return sampler_table(NoiseSchedule(options.schedule), options.sampler);
}

TEST_P(GpuOperations, TrainingStepMatchesCpu) {
  const TrainingProgram made = training_program_of(GetParam().network);
  const std::vector<uint8_t> pixels = random_pixels(made);
  CpuExecutor<double> reference(made.program);
  const auto device = unmeasured_executors(GetParam().precision, GetParam().upsample)(made.program);
  for (Executor* executor : {static_cast<Executor*>(&reference), device.get()}) {
    prepare_training(made, pixels, *executor);
    executor->write_index(made.buffers.step, 3);
  }
  compare({Phase::kForward, Phase::kBackward, Phase::kUpdate}, reference, *device);
  std::set<std::string> all;
  for (const Operation& operation : made.program.operations()) all.insert(kind(operation.operation));
  EXPECT_EQ(kinds_, all) << "an operation was not compared";
}

TEST_P(GpuOperations, SamplingStepMatchesCpu) {
  const GenerationOptions options = sampling_of(GetParam().network);
  const SamplerTable table = table_of(options);
  const SamplingProgram made = sampling_program(options, table);
  CpuExecutor<double> reference(made.program);
  const auto device = unmeasured_executors(GetParam().precision, GetParam().upsample)(made.program);
  for (Executor* executor : {static_cast<Executor*>(&reference), device.get()}) {
    executor->write_parameters(random_weights(made.program));
    executor->write(made.buffers.table, flat_rows<float>(table));
    executor->write_index(made.buffers.first_image, 11);
  }
  compare({Phase::kStart}, reference, *device);
  for (int step = 0; step < 2; ++step) compare({Phase::kForward, Phase::kUpdate}, reference, *device);
}

template <typename... Op>
std::set<std::string> kinds_of(const std::variant<Op...>*) {
  return {Op::kKind...};
}

TEST(GpuOperationsNetworks, HaveEveryOperation) {
  std::set<std::string> found;
  for (const UnetConfig& network :
       {plain_network(), conditional_network(), learned_time_network(), identity_network()}) {
    const GenerationOptions sampling = sampling_of(network);
    for (const Program& program :
         {training_program_of(network).program, sampling_program(sampling, table_of(sampling)).program})
      for (const Operation& operation : program.operations()) found.insert(kind(operation.operation));
  }
  EXPECT_EQ(found, kinds_of(static_cast<const AnyOperation*>(nullptr)));
}

INSTANTIATE_TEST_SUITE_P(
    Networks, GpuOperations,
    testing::Values(Case{"plain_fp32", plain_network(), ComputePrecision::kFp32},
                    Case{"plain_bf16", plain_network(), ComputePrecision::kBf16},
                    Case{"nearest_fp32", plain_network(), ComputePrecision::kFp32, UpsampleForm::kNearest},
                    Case{"nearest_bf16", plain_network(), ComputePrecision::kBf16, UpsampleForm::kNearest},
                    Case{"conditional_fp32", conditional_network(), ComputePrecision::kFp32},
                    Case{"conditional_bf16", conditional_network(), ComputePrecision::kBf16},
                    Case{"learned_time_fp32", learned_time_network(), ComputePrecision::kFp32},
                    Case{"learned_time_bf16", learned_time_network(), ComputePrecision::kBf16},
                    Case{"identity_fp32", identity_network(), ComputePrecision::kFp32},
                    Case{"identity_bf16", identity_network(), ComputePrecision::kBf16}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace ddpm
