// Programs on the CPU: memory reuse does not change a bit; float, double, oneDNN and plain loops agree;
// misuse is refused.
#include "runtime/cpu/cpu_executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "model/weights/parameters.h"
#include "support/error_types.h"
#include "tests/runtime/program/small_unet.h"

namespace ddpm {
namespace {

// A training step's executor, ready to run.
template <typename T>
class Training {
 public:
  explicit Training(const TrainingProgram& made, CpuKernels products = CpuKernels::kFast)
      : buffers(made.buffers),
        pixels(size_t(element_count(made.program.shape(made.buffers.dataset)))),
        executor(made.program, products) {
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(random_bits({9, 0}, 0, i));
    executor.bind_bytes(buffers.dataset, pixels);
    write_inputs(buffers, small_training(), executor);
    // Large enough that every operation matters: with Ho's own start the residual branches are almost zero.
    std::vector<float> parameters(size_t(made.program.parameter_elements()));
    fill_random<float>(parameters, 6, 0.4);
    executor.write_parameters(parameters);
    executor.write(buffers.ema, parameters);
  }

  void step() {
    for (const Phase phase : {Phase::kForward, Phase::kBackward, Phase::kUpdate}) executor.run(phase);
  }
  std::vector<T> after_steps(int count) {
    for (int i = 0; i < count; ++i) step();
    std::vector<T> all(executor.parameters().begin(), executor.parameters().end());
    const auto append = [&](BufferId buffer) {
      all.insert(all.end(), executor.values(buffer).begin(), executor.values(buffer).end());
    };
    for (const BufferId buffer : {buffers.m, buffers.v, buffers.ema, buffers.image_loss, buffers.t})
      append(buffer);
    return all;
  }

  TrainingBuffers buffers;
  std::vector<uint8_t> pixels;
  CpuExecutor<T> executor;
};

TEST(CpuExecutor, MemoryReuseDoesNotChangeABit) {
  const TrainingProgram planned = small_training_program();
  TrainingProgram kept = planned;
  for (size_t i = 0; i < kept.program.buffers().size(); ++i) kept.program.keep(BufferId(i));
  Training<float> with_reuse(planned), without_reuse(kept);
  ASSERT_GT(with_reuse.executor.memory_plan().arena_bytes, 0);
  ASSERT_EQ(without_reuse.executor.memory_plan().arena_bytes, 0);
  EXPECT_EQ(with_reuse.after_steps(3), without_reuse.after_steps(3));
}

TEST(CpuExecutor, NeverReadsUnwrittenArenaMemory) {
  const TrainingProgram made = small_training_program();
  Training<float> clean(made), poisoned(made);
  int filled = 0;
  for (size_t i = 0; i < made.program.buffers().size(); ++i)
    if (poisoned.executor.memory_plan().placements[i].offset >= 0) {
      std::ranges::fill(poisoned.executor.values(BufferId(i)), std::numeric_limits<float>::quiet_NaN());
      ++filled;
    }
  ASSERT_GT(filled, 0);
  EXPECT_EQ(clean.after_steps(1), poisoned.after_steps(1));
}

TEST(CpuExecutor, IsDeterministic) {
  const TrainingProgram made = small_training_program();
  Training<float> first(made), second(made);
  EXPECT_EQ(first.after_steps(3), second.after_steps(3));
}

// Rounding depends on the order of summation. A step of this network sums about a hundred terms per value,
// and errors pass through about fifty operations: at most 100 * 50 units of float. In practice a few tens.
constexpr double kFloatBound = 5000 * 0x1p-24;

void expect_close(std::span<const float> actual, const std::vector<double>& expected) {
  double largest = 0;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  ASSERT_EQ(actual.size(), expected.size());
  ASSERT_GT(largest, 0);
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i], kFloatBound * largest) << i;
}

TEST(CpuExecutor, FloatGradientsMatchDouble) {
  const TrainingProgram made = small_training_program();
  Training<double> exact(made);
  exact.executor.run(Phase::kForward);
  exact.executor.run(Phase::kBackward);
  const std::vector<double> expected(exact.executor.gradients().begin(), exact.executor.gradients().end());
  for (const CpuKernels products : {CpuKernels::kFast, CpuKernels::kReference}) {
    Training<float> rounded(made, products);
    rounded.executor.run(Phase::kForward);
    rounded.executor.run(Phase::kBackward);
    expect_close(rounded.executor.gradients(), expected);
  }
}

TEST(CpuExecutor, RunsEachOperationOncePerPhase) {
  Training<float> training(small_training_program());
  EXPECT_TRUE(training.executor.operation_times().empty());
  training.executor.measure_operations();
  training.step();
  training.executor.run(Phase::kForward);
  const std::vector<OperationTime> times = training.executor.operation_times();
  const auto& operations = training.executor.program().operations();
  ASSERT_EQ(times.size(), operations.size());
  for (size_t i = 0; i < times.size(); ++i)
    EXPECT_EQ(times[i].runs, operations[i].phase == Phase::kForward ? 2 : 1) << operations[i].name;
}

TEST(CpuExecutor, CounterAdvancesOncePerUpdate) {
  Training<float> training(small_training_program());
  training.executor.write_index(training.buffers.step, 41);
  training.step();
  EXPECT_EQ(training.executor.read_index(training.buffers.step), 42);
}

TEST(CpuExecutor, PaddingBetweenParametersStaysZero) {
  Training<float> training(small_training_program());
  std::vector<float> arena(training.executor.parameters().size(), 0);
  for_each_tensor(training.executor.program(), [&](const NamedTensor& tensor, int64_t offset) {
    std::fill_n(arena.begin() + offset, element_count(tensor.shape), 0.1f);
  });
  ASSERT_GT(std::ranges::count(arena, 0.0f), 0) << "there is no padding";
  training.executor.write_parameters(arena);
  training.step();
  for (size_t i = 0; i < arena.size(); ++i)
    if (arena[i] == 0) {
      ASSERT_EQ(training.executor.parameters()[i], 0) << i;
    }
}

TEST(CpuExecutor, RefusesValuesOfTheWrongSizeOrKind) {
  Training<float> training(small_training_program());
  CpuExecutor<float>& executor = training.executor;
  const std::vector<float> two{1, 2};
  EXPECT_THROW(executor.write(training.buffers.gradient_norm, two), LogicError);
  EXPECT_THROW(executor.write_parameters(two), LogicError);
  EXPECT_THROW(executor.write(training.buffers.step, std::vector<float>{1}), LogicError)
      << "a counter is not a float";
  EXPECT_THROW(executor.read_index(training.buffers.gradient_norm), LogicError) << "a float is not a counter";
  EXPECT_THROW(executor.bind_bytes(training.buffers.dataset, std::vector<uint8_t>(5)), LogicError);
}

TEST(CpuExecutor, RefusesToRunWithoutADataset) {
  const TrainingProgram made = small_training_program();
  CpuExecutor<float> executor(made.program);
  EXPECT_THROW(executor.run(Phase::kForward), LogicError);
}

}  // namespace
}  // namespace ddpm
