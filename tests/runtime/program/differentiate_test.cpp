// The appended backward pass: gradients of networks against finite differences, and the sum of gradients that
// meet in one buffer.
#include "runtime/program/differentiate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "model/weights/parameters.h"
#include "runtime/cpu/cpu_executor.h"
#include "support/error_types.h"
#include "tests/runtime/program/small_unet.h"

namespace ddpm {
namespace {

struct NetworkCase {
  std::string name;
  UnetConfig config;
  double dropout = 0;
};

std::vector<NetworkCase> network_cases() {
  NetworkCase shift{"Shift", small_unet()};
  NetworkCase scale_shift{"ScaleShiftPadAround", small_unet()};
  scale_shift.config.time_modulation = TimeModulation::kScaleShift;
  scale_shift.config.downsampling = Downsampling::kPadAround;
  scale_shift.config.attention_head_dim = 0;
  NetworkCase dropout{"DropoutAttentionEverywhere", small_unet(), 0.3};
  dropout.config.attention = {true, true, true};
  dropout.config.layers_per_block = 2;
  NetworkCase plain{"OneLevelWithoutAttention", small_unet()};
  plain.config.block_out_channels = {6};
  plain.config.attention = {false};
  plain.config.mid_attention = false;
  // Without a middle block the deepest feature is its own skip: a normalization's two sources are one buffer.
  NetworkCase no_middle{"NoMiddle", small_unet()};
  no_middle.config.mid_block = false;
  return {shift, scale_shift, dropout, plain, no_middle};
}

// A network in double with random parameters, and the loss sum(output * probe) with its gradients.
class DifferentiatedNetwork {
 public:
  explicit DifferentiatedNetwork(const NetworkCase& given) : executor_(build(given)) {
    const double scale = 0.4;  // keeps activations of order one through all layers
    fill_random(executor_.parameters(), 1, scale);
    fill_random(executor_.values(x_), 2);
    fill_random(executor_.values(probe_), 3);
    executor_.write(t_, std::vector<float>{3, 700});
    executor_.write_index(step_, 11);
  }

  double loss() {
    executor_.run(Phase::kForward);
    double sum = 0;
    const auto output = executor_.values(output_), probe = executor_.values(probe_);
    for (size_t i = 0; i < output.size(); ++i) sum += output[i] * probe[i];
    return sum;
  }
  void backward() {
    executor_.run(Phase::kForward);
    executor_.run(Phase::kBackward);
  }
  CpuExecutor<double>& executor() { return executor_; }
  std::span<double> x() { return executor_.values(x_); }
  std::span<double> dx() { return executor_.values(dx_); }

 private:
  Program build(const NetworkCase& given) {
    Program program;
    const UnetConfig& c = given.config;
    constexpr int kBatch = 2;
    x_ = program.add_buffer("x", {kBatch, c.image_size, c.image_size, c.in_channels}, Role::kState);
    t_ = program.add_buffer("t", {kBatch}, Role::kState, DType::kMaster);
    step_ = program.add_buffer("step", {1}, Role::kState, DType::kIndex);
    output_ = build_unet(
        program, c, {.batch = kBatch, .x = x_, .t = t_, .dropout = given.dropout, .step = step_, .seed = 4});
    program.keep(output_);
    probe_ = program.add_buffer("probe", program.shape(output_), Role::kState);
    dx_ = differentiate(program, {.output = output_, .output_gradient = probe_, .wanted_input = x_});
    program.keep(dx_);
    return program;
  }

  BufferId x_, t_, step_, output_, probe_, dx_;
  CpuExecutor<double> executor_;
};

// Compares the derivative along a random direction of unit length, which involves every element of `values`,
// with the central difference of the loss.
//
// With h = 1e-4 the difference is off by h^2 L''' / 6, where L''' is a few hundred at the most for
// these networks, and by the loss's rounding over h, some 1e-14 / 1e-4. A wrong or missing term is off
// by its own size.
void expect_directional_derivative(const std::string& name, std::span<double> values,
                                   std::span<const double> gradient, DifferentiatedNetwork& network,
                                   uint64_t seed) {
  constexpr double kStep = 1e-4;
  std::vector<double> direction(values.size());
  fill_random<double>(direction, seed);
  double norm = 0, slope = 0;
  for (const double d : direction) norm += d * d;
  for (size_t i = 0; i < values.size(); ++i) slope += gradient[i] * (direction[i] /= std::sqrt(norm));

  const std::vector<double> before(values.begin(), values.end());
  const auto loss_at = [&](double distance) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = before[i] + distance * direction[i];
    return network.loss();
  };
  const double difference = (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep);
  std::copy(before.begin(), before.end(), values.begin());
  EXPECT_NEAR(difference, slope, 1e-6 * (1 + std::abs(slope))) << name;
}

class GradientOfAUnet : public ::testing::TestWithParam<NetworkCase> {};
INSTANTIATE_TEST_SUITE_P(Networks, GradientOfAUnet, ::testing::ValuesIn(network_cases()),
                         [](const auto& instance) { return instance.param.name; });

TEST_P(GradientOfAUnet, MatchesFiniteDifferences) {
  DifferentiatedNetwork network(GetParam());
  network.backward();
  const std::vector<double> dx(network.dx().begin(), network.dx().end());
  const std::vector<double> gradients(network.executor().gradients().begin(),
                                      network.executor().gradients().end());
  expect_directional_derivative("x", network.x(), dx, network, 100);
  uint64_t seed = 101;
  for (const Buffer& buffer : network.executor().program().buffers()) {
    if (buffer.role != Role::kParameter) continue;
    const size_t count = size_t(element_count(buffer.shape)), offset = size_t(buffer.arena_offset);
    expect_directional_derivative(buffer.name, network.executor().parameters().subspan(offset, count),
                                  std::span(gradients).subspan(offset, count), network, seed++);
  }
  EXPECT_GT(seed, 101u) << "no parameter was checked";
}

TEST_P(GradientOfAUnet, AccumulatesOverRunsWithoutZeroing) {
  DifferentiatedNetwork network(GetParam());
  network.backward();
  const std::vector<double> once(network.executor().gradients().begin(),
                                 network.executor().gradients().end());
  const std::vector<double> dx(network.dx().begin(), network.dx().end());
  network.backward();
  double largest = 0;
  for (const double g : once) largest = std::max(largest, std::abs(g));
  ASSERT_GT(largest, 0);
  for (size_t i = 0; i < once.size(); ++i)
    // The second run adds to an existing sum: only the rounding differs.
    EXPECT_NEAR(network.executor().gradients()[i], 2 * once[i], 1e-12 * largest) << i;
  EXPECT_TRUE(std::equal(dx.begin(), dx.end(), network.dx().begin()))
      << "activation gradients are overwritten";
}

// ---- hand-made programs ----

// h = x w^T with one weight row per output, so that the gradient of w shows that of h.
struct OneLayer {
  Program program;
  BufferId x = program.add_buffer("x", {1, 1}, Role::kState);
  BufferId w = program.add_parameter("w", {3, 1}, {{.name = "w", .shape = {3, 1}, .initial = {}}});
  BufferId h = program.add_buffer("h", {1, 3});
  BufferId dy = program.add_buffer("dy", {1, 3}, Role::kState);

  OneLayer() {
    program.add("h", Phase::kForward,
                Linear{.params = {.n = 1, .in = 1, .out = 3}, .x = x, .weight = w, .y = h});
  }
  BufferId add(BufferId a, BufferId b) {
    const BufferId y = program.add_buffer("sum", {1, 3});
    program.add("sum", Phase::kForward, Add{.count = 3, .a = a, .b = b, .y = y});
    return y;
  }
  // The gradient of w for x = 1 and dy = 1, 10, 100.
  std::vector<double> gradient(BufferId output) {
    differentiate(program, {.output = output, .output_gradient = dy});
    CpuExecutor<double> executor(program);
    executor.write(x, std::vector<float>{1});
    executor.write(dy, std::vector<float>{1, 10, 100});
    executor.run(Phase::kForward);
    executor.run(Phase::kBackward);
    return {executor.gradients().begin(), executor.gradients().begin() + 3};
  }
};

TEST(Differentiate, SumsGradientsThatMeetInABuffer) {
  OneLayer one;
  // ((h + h) + h) + (h + h): five paths from the output to h.
  const BufferId y = one.add(one.add(one.add(one.h, one.h), one.h), one.add(one.h, one.h));
  EXPECT_EQ(one.gradient(y), (std::vector<double>{5, 50, 500}));
}

TEST(Differentiate, IgnoresBranchesThatDoNotReachTheOutput) {
  OneLayer one;
  one.add(one.h, one.h);
  EXPECT_EQ(one.gradient(one.h), (std::vector<double>{1, 10, 100}));
}

TEST(Differentiate, SkipsUnneededGradients) {
  Program program = unet_program(small_unet(), 1);
  const BufferId output = program.find("conv_out");
  const BufferId probe = program.add_buffer("probe", program.shape(output), Role::kState);
  EXPECT_EQ(differentiate(program, {.output = output, .output_gradient = probe}), kNoBuffer);
  const auto has_operation = [&](const char* name) {
    return std::any_of(program.operations().begin(), program.operations().end(),
                       [&](const Operation& operation) { return operation.name == name; });
  };
  EXPECT_TRUE(has_operation("conv_out.backward_data"));
  EXPECT_FALSE(has_operation("conv_in.backward_data"));
}

TEST(Differentiate, BiasesOfOneSumShareOnePass) {
  Program program = unet_program(small_unet(), 1);
  const BufferId output = program.find("conv_out");
  const BufferId probe = program.add_buffer("probe", program.shape(output), Role::kState);
  differentiate(program, {.output = output, .output_gradient = probe});
  std::set<BufferId> summed;
  int shared = 0;
  for (const Operation& operation : program.operations())
    if (const auto* op = std::get_if<Conv2dBackwardWeight>(&operation.operation);
        op != nullptr && op->dbias != kNoBuffer) {
      EXPECT_TRUE(summed.insert(op->dy).second) << operation.name;
      if (op->also_dbias != kNoBuffer) ++shared;
    }
  // Each block with a shortcut convolution: two on the way down, where the width changes, six on the way up.
  EXPECT_EQ(shared, 8);
}

TEST(Differentiate, RefusesOperationsWithoutABackwardPass) {
  OneLayer one;
  const BufferId counter = one.program.add_buffer("counter", {1}, Role::kState, DType::kIndex);
  one.program.add("counter", Phase::kForward, AdvanceCounter{counter});
  EXPECT_THROW(differentiate(one.program, {.output = one.h, .output_gradient = one.dy}), LogicError);
}

}  // namespace
}  // namespace ddpm
