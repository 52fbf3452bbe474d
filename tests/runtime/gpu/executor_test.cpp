// The GPU executor's graphs, records, measurements, memory and error handling.
#include "runtime/gpu/gpu_device.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "support/error_types.h"
#include "tests/runtime/gpu/networks.h"
#include "tests/runtime/gpu/unmeasured_executors.h"

#ifdef DDPM_LINKS_EMULATOR
#include "runtime/gpu/plain_library.h"
#include "runtime/library/lowering.h"
#include "tests/device/device_memory.h"
#endif

namespace ddpm {
namespace {

constexpr std::initializer_list<Phase> kStep = {Phase::kForward, Phase::kBackward, Phase::kUpdate};

// A training step's executor, ready to run.
struct Training {
  Training(const TrainingProgram& made, std::unique_ptr<Executor> runs_it)
      : buffers(made.buffers), executor(std::move(runs_it)) {
    prepare_training(made, random_pixels(made), *executor);
  }
  explicit Training(const TrainingProgram& made, ComputePrecision precision = ComputePrecision::kFp32)
      : Training(made, unmeasured_executors(precision)(made.program)) {}

  // Everything that persists after a step.
  std::vector<float> state() const {
    std::vector<float> all(static_cast<size_t>(executor->program().parameter_elements()));
    executor->read_parameters(all);
    for (const BufferId buffer : {buffers.m, buffers.v, buffers.ema, buffers.image_loss, buffers.t}) {
      const std::vector<float> values = executor->read(buffer);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }
  std::vector<float> after_steps(int count) {
    for (int i = 0; i < count; ++i) executor->run(kStep);
    return state();
  }

  TrainingBuffers buffers;
  std::unique_ptr<Executor> executor;
};

TrainingProgram small_program() { return training_program_of(plain_network()); }

TEST(GpuExecutor, GraphsMatchEagerExecution) {
  for (const ComputePrecision precision : {ComputePrecision::kFp32, ComputePrecision::kBf16}) {
    Training captured(small_program(), precision), one_by_one(small_program(), precision),
        by_phase(small_program(), precision);
    one_by_one.executor->measure_operations(MeasuredForm::kEager);
    const std::vector<float> expected = captured.after_steps(4);
    EXPECT_EQ(captured.executor->read_index(captured.buffers.step), 4);
    EXPECT_EQ(one_by_one.after_steps(4), expected);
    for (int i = 0; i < 4; ++i)
      for (const Phase phase : kStep) by_phase.executor->run(phase);
    EXPECT_EQ(by_phase.state(), expected);
  }
}

TEST(GpuExecutor, IsDeterministic) {
  Training first(small_program()), second(small_program());
  EXPECT_EQ(first.after_steps(3), second.after_steps(3));
}

#ifdef DDPM_LINKS_EMULATOR
TEST(GpuExecutor, ThreadOrderDoesNotChangeABit) {
  const TrainingProgram made = small_program();
  std::vector<std::vector<float>> results;
  for (Stream& stream : streams_of_every_order()) {
    Training training(
        made, std::make_unique<Executor>(made.program,
                                         make_gpu_device<BFloat16>(std::make_unique<PlainLibrary>(),
                                                                   UpsampleForm::kAuto, std::move(stream))));
    results.push_back(training.after_steps(2));
  }
  ASSERT_GT(results.size(), 1u);
  for (const std::vector<float>& result : results) EXPECT_EQ(result, results.front());
}
#endif

// operations_test.cpp checks that both are correct; a difference shows that the option has an effect.
TEST(GpuExecutor, UsesTheRequestedUpsampleForm) {
  const TrainingProgram made = small_program();
  const auto state_of = [&](UpsampleForm form) {
    return Training(made, unmeasured_executors(ComputePrecision::kBf16, form)(made.program)).after_steps(2);
  };
  EXPECT_NE(state_of(UpsampleForm::kFolded), state_of(UpsampleForm::kNearest));
}

TEST(GpuExecutor, MemoryReuseDoesNotChangeABit) {
  const TrainingProgram planned = small_program();
  TrainingProgram kept = planned;
  for (size_t i = 0; i < kept.program.buffers().size(); ++i) kept.program.keep(static_cast<BufferId>(i));
  Training with_reuse(planned), without_reuse(kept);
  ASSERT_EQ(without_reuse.executor->memory_plan().arena_bytes, 0);
  EXPECT_EQ(with_reuse.after_steps(2), without_reuse.after_steps(2));
}

TEST(GpuExecutor, Bf16HalvesActivationMemory) {
  const TrainingProgram made = small_program();
  const int64_t fp32 = unmeasured_executors(ComputePrecision::kFp32)(made.program)->memory_plan().arena_bytes;
  const int64_t bf16 = unmeasured_executors(ComputePrecision::kBf16)(made.program)->memory_plan().arena_bytes;
  EXPECT_LT(bf16, 0.6 * static_cast<double>(fp32));  // a tenth for statistics and alignment
}

TEST(GpuExecutor, RecordsHoldTheValuesOfEachStep) {
  constexpr int kSteps = 40;  // more than there are slots for pending records
  Training recording(small_program()), reading(small_program());
  const auto [image_loss, t] = std::pair(recording.buffers.image_loss, recording.buffers.t);
  recording.executor->keep_records({image_loss, t});
  std::vector<std::vector<float>> expected;
  for (int i = 0; i < kSteps; ++i) {
    recording.executor->run(kStep);
    reading.executor->run(kStep);
    std::vector<float>& record = expected.emplace_back(reading.executor->read(image_loss));
    for (const float value : reading.executor->read(t)) record.push_back(value);
  }
  std::vector<std::vector<float>> records = recording.executor->take_records(3);
  EXPECT_EQ(records.size(), size_t{kSteps - 3});
  for (std::vector<float>& record : recording.executor->take_records(0)) records.push_back(std::move(record));
  EXPECT_EQ(records, expected);
  EXPECT_TRUE(recording.executor->take_records(0).empty()) << "each record is handed out once";
}

TEST(GpuExecutor, RefusesToRecordAnActivation) {
  Training training(small_program());
  EXPECT_THROW(training.executor->keep_records({training.executor->program().find("x_t")}), LogicError);
}

TEST(GpuExecutor, CapturedGraphsReadNewlyBoundBytes) {
  Training training(small_program()), other(small_program());
  training.executor->run(kStep);
  training.executor->run(kStep);  // captured
  const std::vector<uint8_t> white(random_pixels(small_program()).size(), 255);
  for (Training* each : {&training, &other}) each->executor->bind_bytes(each->buffers.dataset, white);
  training.executor->write_parameters(random_weights(training.executor->program()));
  other.executor->write_index(other.buffers.step, 2);
  training.executor->run(Phase::kForward);
  other.executor->run(Phase::kForward);
  EXPECT_EQ(training.executor->read(training.buffers.image_loss),
            other.executor->read(other.buffers.image_loss));
}

TEST(GpuExecutor, MeasuringDoesNotChangeABit) {
  for (const ComputePrecision precision : {ComputePrecision::kFp32, ComputePrecision::kBf16}) {
    Training plain(small_program(), precision), measured(small_program(), precision);
    measured.executor->measure_operations();
    EXPECT_EQ(measured.after_steps(5), plain.after_steps(5)) << "both graphs ran twice";
  }
}

TEST(GpuExecutor, MeasuresEachOperationInsideTheGraph) {
  Training training(small_program());
  EXPECT_TRUE(training.executor->graph_times().empty());
  training.executor->measure_operations();
  for (int step = 0; step < 6; ++step) training.executor->run(kStep);  // eager, then timed, plain, ...
  const std::vector<OperationTime> times = training.executor->operation_times();
  const auto& operations = training.executor->program().operations();
  ASSERT_EQ(times.size(), operations.size());
  ASSERT_EQ(times.size(), operations.size());
  double sum = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(times[i].runs, 3) << operations[i].name;
    EXPECT_GT(times[i].seconds, 0) << operations[i].name;
    sum += times[i].seconds / 3;
  }
  const std::vector<GraphTime> graphs = training.executor->graph_times();
  ASSERT_EQ(graphs.size(), 1U);
  const GraphTime& graph = graphs.front();
  EXPECT_EQ(graph.phases, std::vector<Phase>(kStep));
  EXPECT_EQ(graph.timed_runs, 3);
  EXPECT_EQ(graph.runs, 2);
  EXPECT_EQ(graph.operations, static_cast<int64_t>(operations.size()));
  EXPECT_GT(graph.seconds, 0);
  EXPECT_GE(graph.empty_seconds, 0);
  // The median of three runs is between a third of their sum and the sum of two.
  EXPECT_GT(graph.operations_seconds, 0);
  EXPECT_LE(graph.operations_seconds, 3 * sum / 2 * (1 + 1e-6));
  EXPECT_GE(graph.timed_seconds, graph.operations_seconds) << "intervals do not overlap";
}

// Every operation of a step launches something, and the plain graph has no events.
TEST(GpuExecutor, CountsTheNodesOfThePlainGraph) {
  Training training(small_program());
  training.executor->measure_operations();
  training.after_steps(3);
  const GraphNodes nodes = training.executor->graph_times().front().nodes;
  EXPECT_GE(nodes.total(), static_cast<int64_t>(training.executor->program().operations().size()));
  EXPECT_GT(nodes.kernels, nodes.total() / 2);
  EXPECT_GT(nodes.memsets, 0) << "gradients are zeroed";
  EXPECT_EQ(nodes.events, 0);
  EXPECT_EQ(nodes.others, 0);
}

TEST(GpuExecutor, MeasuresGraphsThatShareOperations) {
  Training training(small_program());
  training.executor->run(kStep);
  training.executor->run(kStep);  // captured before measuring begins
  training.executor->measure_operations();
  training.executor->run(kStep);                                              // timed
  for (int run = 0; run < 4; ++run) training.executor->run(Phase::kForward);  // eager, timed, plain, timed
  const std::vector<OperationTime> times = training.executor->operation_times();
  const auto& operations = training.executor->program().operations();
  ASSERT_EQ(times.size(), operations.size());
  for (size_t i = 0; i < times.size(); ++i)
    EXPECT_EQ(times[i].runs, operations[i].phase == Phase::kForward ? 3 : 1) << operations[i].name;
  EXPECT_EQ(training.executor->graph_times().size(), 2U);

  training.executor->measure_operations();  // resets the times
  const std::vector<OperationTime> reset = training.executor->operation_times();
  ASSERT_EQ(reset.size(), operations.size());
  for (const OperationTime& time : reset) EXPECT_EQ(time.runs, 0);
  EXPECT_TRUE(training.executor->graph_times().empty());
}

TEST(GpuExecutor, MeasuresOperationsOneByOne) {
  Training training(small_program());
  EXPECT_TRUE(training.executor->operation_times().empty());
  training.executor->measure_operations(MeasuredForm::kEager);
  training.executor->run(kStep);
  training.executor->run(Phase::kForward);
  const std::vector<OperationTime> times = training.executor->operation_times();
  const auto& operations = training.executor->program().operations();
  ASSERT_EQ(times.size(), operations.size());
  ASSERT_EQ(times.size(), operations.size());
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(times[i].runs, operations[i].phase == Phase::kForward ? 2 : 1) << operations[i].name;
    EXPECT_GE(times[i].seconds, 0) << operations[i].name;
  }
}

TEST(GpuExecutor, ReadsBackTheStoredValues) {
  const TrainingProgram made = small_program();
  const BufferId x = made.program.find("x_t");
  std::vector<float> values(static_cast<size_t>(element_count(made.program.shape(x))));
  fill_random<float>(values, 3);
  const auto fp32 = unmeasured_executors(ComputePrecision::kFp32)(made.program);
  fp32->write(x, values);
  EXPECT_EQ(fp32->read(x), values);
  const auto bf16 = unmeasured_executors(ComputePrecision::kBf16)(made.program);
  bf16->write(x, values);
  for (float& value : values) value = to_float(to_bfloat16(value));
  EXPECT_EQ(bf16->read(x), values);
  bf16->write(made.buffers.ema, random_weights(made.program));
  EXPECT_EQ(bf16->read(made.buffers.ema), random_weights(made.program)) << "masters stay float";
}

TEST(GpuExecutor, RefusesValuesOfTheWrongSizeOrKind) {
  Training training(small_program());
  Executor& executor = *training.executor;
  const std::vector<float> one{1}, two{1, 2};
  EXPECT_THROW(executor.write(training.buffers.gradient_norm, two), LogicError);
  EXPECT_THROW(executor.write_parameters(two), LogicError);
  EXPECT_THROW(executor.write(training.buffers.step, one), LogicError) << "a counter is not a float";
  EXPECT_THROW(executor.write_index(training.buffers.t, 1), LogicError);
  EXPECT_THROW(executor.bind_bytes(training.buffers.dataset, std::vector<uint8_t>(3)), LogicError);
  EXPECT_THROW(executor.run_operation(training.executor->program().operations().size()), LogicError);
}

TEST(GpuExecutor, RefusesChannelsThatAreNotWholeVectors) {
  UnetConfig network = plain_network();
  network.block_out_channels = {12, 20};
  network.attention = {false, false};
  network.attention_head_dim = 4;
  EXPECT_THROW(Training(training_program_of(network), ComputePrecision::kBf16), InputError);
}

}  // namespace
}  // namespace ddpm
