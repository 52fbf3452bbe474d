// Program reports: known counts, columns that add up, and published estimates.
#include "runtime/report/program_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "model/sampling/sampling_program.h"
#include "model/training/training_program.h"
#include "model/unet/presets.h"

namespace ddpm {
namespace {

using ::testing::HasSubstr;

constexpr ElementSizes kFp32{.compute = 4, .master = 4};
constexpr ElementSizes kBf16{.compute = 2, .master = 4};

Program training(std::string_view preset, int batch) {
  return training_program(find_preset(preset).network, batch).program;
}

ProgramReport report_of(const Program& program, int batch, const ElementSizes& sizes = kFp32) {
  return report_program(program, plan_memory(program, sizes),
                        {.title = "title", .batch = batch, .sizes = sizes});
}

size_t lines_of(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

struct Published {
  const char* preset;
  int64_t parameters;
  const char* parameters_text;
  double forward_gflop;           // per image
  double forward_backward_gflop;  // convolutions, GEMMs and attention of the published networks
};

class PublishedNetworks : public ::testing::TestWithParam<Published> {};

TEST_P(PublishedNetworks, MatchThePublishedParameterCounts) {
  const Published& published = GetParam();
  const Program program = training(published.preset, 1);
  const ProgramReport report = report_of(program, 1);
  EXPECT_EQ(report.parameters, published.parameters);
  EXPECT_THAT(summary_text(report), HasSubstr(published.parameters_text));

  int64_t by_operation = 0, by_tensor = 0;
  for (const OperationReport& operation : report.operations) by_operation += operation.parameters;
  for (const NamedTensor& tensor : report.tensors) by_tensor += element_count(tensor.shape);
  EXPECT_EQ(by_operation, published.parameters);
  EXPECT_EQ(by_tensor, published.parameters);
}

TEST_P(PublishedNetworks, MatchTheEstimatedFlops) {
  const Published& published = GetParam();
  constexpr int kBatch = 2;
  const ProgramReport report = report_of(training(published.preset, kBatch), kBatch);
  const double forward = report.total(Phase::kForward).cost.flops / kBatch * 1e-9;
  const double backward = report.total(Phase::kBackward).cost.flops / kBatch * 1e-9;
  // The estimates exclude the normalizations, which add up to 0.4 % (10 and 25 operations per element).
  EXPECT_NEAR(forward, published.forward_gflop, 0.01 * published.forward_gflop);
  EXPECT_NEAR(forward + backward, published.forward_backward_gflop, 0.01 * published.forward_backward_gflop);
}

// Parameters: the authors' comments and checkpoints. GFLOP: counted by hand from the published definitions.
INSTANTIATE_TEST_SUITE_P(ProgramReport, PublishedNetworks,
                         ::testing::Values(Published{"ddpm-cifar10-32", 35746307, "35,746,307", 12.4, 37.5},
                                           Published{"ddim-celeba-64", 78700803, "78,700,803", 48.1, 144.4},
                                           Published{"ddpm-celebahq-256", 113673219, "113,673,219", 497,
                                                     1491}),
                         [](const auto& tested) {
                           std::string name = tested.param.preset;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(ProgramReport, MatchesAHandCountedConvolution) {
  Program program;
  const BufferId x = program.add_buffer("x", {2, 4, 5, 3}, Role::kState);
  const BufferId weight =
      program.add_parameter("conv.weight", {8, 3, 3, 3}, {{"conv.weight", {8, 3, 3, 3}, {}}});
  const BufferId y = program.add_buffer("conv", {2, 4, 5, 8});
  program.add("conv", Phase::kForward,
              Conv2d{.shape = {.n = 2, .h = 4, .w = 5, .c = 3, .k = 8, .weight_channels = 3},
                     .x = x,
                     .weight = weight,
                     .y = y});
  const ProgramReport report = report_of(program, 2);
  ASSERT_EQ(report.operations.size(), 1u);
  const OperationReport& conv = report.operations[0];
  EXPECT_EQ(conv.name, "conv");
  EXPECT_EQ(conv.kind, "conv2d");
  EXPECT_EQ(conv.input, (Shape{2, 4, 5, 3}));
  EXPECT_EQ(conv.output, (Shape{2, 4, 5, 8}));
  EXPECT_EQ(conv.parameters, 8 * 27);
  EXPECT_EQ(conv.cost.flops, 2.0 * (2 * 4 * 5) * 8 * 27);
  EXPECT_EQ(conv.cost.bytes, 4.0 * (2 * 4 * 5 * 3 + 2 * 4 * 5 * 8 + 8 * 27));
  EXPECT_EQ(report.memory.activations, 1280);  // 2*4*5*8 floats, a multiple of 256
  EXPECT_EQ(report.memory.states, 4 * 2 * 4 * 5 * 3);
  EXPECT_EQ(report.memory.gradients, 0);
}

TEST(ProgramReport, TotalsSumTheRows) {
  const ProgramReport report = report_of(training("tiny-32", 3), 3);
  // All costs are integers below 2^53, so sums in any order are exact.
  Cost rows, kinds, phases;
  int64_t of_kinds = 0, of_phases = 0;
  const auto add = [](Cost& sum, const Cost& cost) {
    sum.flops += cost.flops;
    sum.bytes += cost.bytes;
  };
  for (const OperationReport& operation : report.operations) add(rows, operation.cost);
  for (const KindTotal& kind : report.totals_by_kind()) {
    add(kinds, kind.total.cost);
    of_kinds += kind.total.operations;
  }
  for (const Phase phase : {Phase::kStart, Phase::kForward, Phase::kBackward, Phase::kUpdate}) {
    add(phases, report.total(phase).cost);
    of_phases += report.total(phase).operations;
  }
  const CostTotal total = report.total();
  EXPECT_GT(total.cost.flops, 0);
  for (const Cost& sum : {rows, kinds, phases}) {
    EXPECT_EQ(sum.flops, total.cost.flops);
    EXPECT_EQ(sum.bytes, total.cost.bytes);
  }
  EXPECT_EQ(total.operations, static_cast<int64_t>(report.operations.size()));
  EXPECT_EQ(of_kinds, total.operations);
  EXPECT_EQ(of_phases, total.operations);
}

TEST(ProgramReport, AccountsForTheMemory) {
  const Program program = training("tiny-32", 4);
  const MemoryReport memory = report_of(program, 4).memory;
  EXPECT_GE(memory.activations, memory.activations_lower_bound);
  EXPECT_LT(memory.activations, memory.activations_without_reuse);
  EXPECT_EQ(memory.parameters, 4 * program.parameter_elements());
  EXPECT_EQ(memory.gradients, memory.parameters);
  EXPECT_GE(memory.states, 3 * memory.parameters);  // two moments and the average
  EXPECT_EQ(memory.total(),
            memory.activations + memory.parameters + memory.gradients + memory.states + memory.inputs);

  const MemoryReport small = report_of(program, 4, kBf16).memory;
  EXPECT_EQ(small.parameters, memory.parameters);
  EXPECT_LT(small.activations, memory.activations * 51 / 100);  // everything but the statistics is halved
  EXPECT_GT(small.activations, memory.activations * 49 / 100);
}

TEST(ProgramReport, ListsTheLargestActivationsFirst) {
  const ProgramReport report = report_of(training("tiny-32", 2), 2);
  ASSERT_FALSE(report.activations.empty());
  EXPECT_TRUE(
      std::is_sorted(report.activations.begin(), report.activations.end(),
                     [](const auto& a, const auto& b) { return a.placement.bytes > b.placement.bytes; }));
  EXPECT_THAT(summary_text(report), HasSubstr(report.activations[0].name));
}

TEST(ProgramReport, SamplingHasNoGradients) {
  const Program program = sampling_program({.network = find_preset("tiny-32").network, .batch = 2}).program;
  const ProgramReport report = report_of(program, 2);
  EXPECT_EQ(report.memory.gradients, 0);
  EXPECT_EQ(report.total(Phase::kBackward).operations, 0);
  EXPECT_EQ(report.total(Phase::kStart).operations, 1);
}

TEST(ProgramReport, SummaryFitsTwoScreens) {
  const size_t lines = lines_of(summary_text(report_of(training("ddpm-celebahq-256", 1), 1)));
  EXPECT_GT(lines, 10u);
  EXPECT_LE(lines, 48u);  // two screens of 24
}

TEST(ProgramReport, HasALinePerOperationAndTensor) {
  const ProgramReport report = report_of(training("tiny-32", 2), 2);
  ASSERT_FALSE(report.operations.empty());
  ASSERT_FALSE(report.tensors.empty());
  const std::string operations = operations_text(report), tensors = tensors_text(report);
  EXPECT_EQ(lines_of(operations), report.operations.size() + 1);
  EXPECT_EQ(lines_of(tensors), report.tensors.size() + 1);
  for (const OperationReport& operation : report.operations)
    EXPECT_THAT(operations, HasSubstr(operation.name));
  for (const NamedTensor& tensor : report.tensors) EXPECT_THAT(tensors, HasSubstr(tensor.name));
}

TEST(ProgramReport, JsonMatchesTheReport) {
  const ProgramReport report = report_of(training("tiny-32", 2), 2);
  const nlohmann::json json = nlohmann::json::parse(report_json(report));
  EXPECT_EQ(json["title"], "title");
  EXPECT_EQ(json["batch"], 2);
  EXPECT_EQ(json["parameters"], report.parameters);
  EXPECT_EQ(json["total"]["flops"], report.total().cost.flops);
  EXPECT_EQ(json["phases"]["forward"]["bytes"], report.total(Phase::kForward).cost.bytes);
  EXPECT_EQ(json["memory"]["total"], report.memory.total());
  ASSERT_FALSE(report.operations.empty());
  ASSERT_EQ(json["operations"].size(), report.operations.size());
  EXPECT_EQ(json["operations"][0]["name"], report.operations[0].name);
  EXPECT_EQ(json["operations"][0]["output"].get<Shape>(), report.operations[0].output);
  EXPECT_EQ(json["activations"].size(), report.activations.size());
  EXPECT_EQ(json["tensors"].size(), report.tensors.size());
}

}  // namespace
}  // namespace ddpm
