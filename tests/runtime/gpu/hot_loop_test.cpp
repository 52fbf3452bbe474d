// Counts the device calls of a training step and of a sampling step after their graphs are captured. The
// linker puts the functions below in front of the device layer's (--wrap in CMakeLists.txt), for the emulator
// and for CUDA.
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <vector>

#include "device/memory.h"
#include "device/stream.h"
#include "model/sampling/sampler.h"
#include "tests/runtime/gpu/networks.h"
#include "tests/runtime/gpu/unmeasured_executors.h"

namespace {

struct Counts {
  int allocations = 0;
  int synchronizations = 0;
  int copies = 0;
  int graphs = 0;
};
Counts counts;                 // a global, since the wrappers are plain functions
std::atomic<int> event_waits;  // atomic, since a prefetching thread waits for events, too

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the linker chose __wrap_ and __real_
#define DDPM_WRAPPED(mangled) __asm__("__wrap_" mangled)
#define DDPM_REAL(mangled) __asm__("__real_" mangled)
// NOLINTEND(bugprone-reserved-identifier)

void* real_allocate_device(size_t bytes) DDPM_REAL("_ZN4ddpm6detail15allocate_deviceEm");
void* wrapped_allocate_device(size_t bytes) DDPM_WRAPPED("_ZN4ddpm6detail15allocate_deviceEm");
void* wrapped_allocate_device(size_t bytes) {
  ++counts.allocations;
  return real_allocate_device(bytes);
}

void* real_allocate_pinned(size_t bytes) DDPM_REAL("_ZN4ddpm6detail15allocate_pinnedEm");
void* wrapped_allocate_pinned(size_t bytes) DDPM_WRAPPED("_ZN4ddpm6detail15allocate_pinnedEm");
void* wrapped_allocate_pinned(size_t bytes) {
  ++counts.allocations;
  return real_allocate_pinned(bytes);
}

void real_synchronize(const ddpm::StreamView* stream) DDPM_REAL("_ZNK4ddpm10StreamView11synchronizeEv");
void wrapped_synchronize(const ddpm::StreamView* stream) DDPM_WRAPPED("_ZNK4ddpm10StreamView11synchronizeEv");
void wrapped_synchronize(const ddpm::StreamView* stream) {
  ++counts.synchronizations;
  real_synchronize(stream);
}

void real_wait(const ddpm::Event* event) DDPM_REAL("_ZNK4ddpm5Event11synchronizeEv");
void wrapped_wait(const ddpm::Event* event) DDPM_WRAPPED("_ZNK4ddpm5Event11synchronizeEv");
void wrapped_wait(const ddpm::Event* event) {
  ++event_waits;
  real_wait(event);
}

void real_copy(void* to, const void* from, size_t bytes, ddpm::StreamView stream)
    DDPM_REAL("_ZN4ddpm6detail10copy_asyncEPvPKvmNS_10StreamViewE");
void wrapped_copy(void* to, const void* from, size_t bytes, ddpm::StreamView stream)
    DDPM_WRAPPED("_ZN4ddpm6detail10copy_asyncEPvPKvmNS_10StreamViewE");
void wrapped_copy(void* to, const void* from, size_t bytes, ddpm::StreamView stream) {
  ++counts.copies;
  real_copy(to, from, bytes, stream);
}

class ExecutableGraph;
void real_launch(const ExecutableGraph* graph, ddpm::StreamView stream)
    DDPM_REAL("_ZNK4ddpm15ExecutableGraph6launchENS_10StreamViewE");
void wrapped_launch(const ExecutableGraph* graph, ddpm::StreamView stream)
    DDPM_WRAPPED("_ZNK4ddpm15ExecutableGraph6launchENS_10StreamViewE");
void wrapped_launch(const ExecutableGraph* graph, ddpm::StreamView stream) {
  ++counts.graphs;
  real_launch(graph, stream);
}

namespace ddpm {
namespace {

constexpr int kSteps = 50;

// Counts the calls of kSteps steps after two that make the graph; returns the number of records.
size_t count_steps(const TrainingProgram& made, Executor& executor) {
  executor.keep_records(
      {made.buffers.image_loss, made.buffers.t, made.buffers.gradient_norm, made.buffers.learning_rate});
  const auto step = [&] {
    executor.run({Phase::kForward, Phase::kBackward, Phase::kUpdate});
    return executor.take_records(kStepsAhead).size();
  };
  step();
  step();
  EXPECT_GT(counts.allocations, 0) << "the wrappers are not linked";
  EXPECT_GT(counts.synchronizations, 0);

  counts = {};
  size_t records = 0;
  for (int i = 0; i < kSteps; ++i) records += step();
  return records;
}

TEST(HotLoop, TrainingStepIsOneGraphAndItsRecordCopies) {
  const TrainingProgram made = training_program_of(plain_network());
  const std::vector<uint8_t> pixels = random_pixels(made);
  const auto executor = unmeasured_executors(ComputePrecision::kBf16)(made.program);
  prepare_training(made, pixels, *executor);
  const size_t records = count_steps(made, *executor);
  EXPECT_EQ(counts.allocations, 0);
  EXPECT_EQ(counts.synchronizations, 0);
  EXPECT_EQ(counts.graphs, kSteps);
  EXPECT_EQ(counts.copies, 4 * kSteps) << "to pinned memory, one per buffer of a record";
  EXPECT_EQ(records, 2 + kSteps - kStepsAhead) << "the last ones may be pending";
}

TEST(HotLoop, MeasuredStepIsOneGraph) {
  const TrainingProgram made = training_program_of(plain_network());
  const std::vector<uint8_t> pixels = random_pixels(made);
  const auto executor = unmeasured_executors(ComputePrecision::kBf16)(made.program);
  prepare_training(made, pixels, *executor);
  executor->measure_operations();
  count_steps(made, *executor);
  EXPECT_EQ(counts.allocations, 0);
  EXPECT_EQ(counts.synchronizations, 0) << "it waits for events of earlier steps, not for the stream";
  EXPECT_EQ(counts.graphs, kSteps);
  EXPECT_EQ(counts.copies, 4 * kSteps);
}

// Samples two images at a time.
Sampler small_sampler(int steps) {
  const GenerationOptions options{.network = plain_network(),
                                  .schedule = {},
                                  .sampler = {.method = SamplerMethod::kDdpm, .steps = steps},
                                  .conditioning = {},
                                  .batch = 2};
  return Sampler(options, random_weights(unet_program(options.network, 1)),
                 unmeasured_executors(ComputePrecision::kBf16));
}

// The caller is notified of every step, for a progress bar and interrupts, but reads no images.
TEST(HotLoop, SamplingStepIsOneGraphAFewStepsAhead) {
  Sampler sampler = small_sampler(kSteps);
  Counts captured, all;
  int waits = 0;
  const std::vector<float> images = sampler.generate(0, 2, [&](int step, const auto&) {
    if (step == 2) {
      captured = counts;
      waits = event_waits;
    }
    if (step == kSteps) all = counts;
    return true;
  });
  ASSERT_FALSE(images.empty());
  EXPECT_EQ(all.allocations, captured.allocations);
  EXPECT_EQ(all.synchronizations, captured.synchronizations);
  EXPECT_EQ(all.copies, captured.copies);
  EXPECT_EQ(all.graphs - captured.graphs, kSteps - 2);
  // Each step waits for the one kStepsAhead before it; the first run is the start.
  EXPECT_EQ(event_waits - waits, 1 + kSteps - int{kStepsAhead});
}

TEST(HotLoop, SamplingCopiesOnlyRequestedImages) {
  Sampler sampler = small_sampler(6);
  int copies = 0, calls = 0;
  sampler.generate(0, 2, [&](int step, const Sampler::ReadImages& read) {
    ++calls;
    if (step == 0) copies = counts.copies;
    if (step == 3) read();
    EXPECT_EQ(counts.copies - copies, step < 3 ? 0 : 1) << step;
    return true;
  });
  EXPECT_EQ(calls, 1 + 6) << "the start and every step";
}

TEST(HotLoop, StreamedDatasetAddsOneCopy) {
  const TrainingProgram made =
      training_program(training_of(plain_network()), {.count = 10, .rows = DatasetRows::kBatchImages});
  const auto executor = unmeasured_executors(ComputePrecision::kBf16)(made.program);
  prepare_training(made, random_pixels(made), *executor);
  executor->stream_bytes(made.buffers.dataset, 0, [](int64_t, std::span<uint8_t> bytes) { bytes[0] = 1; });
  count_steps(made, *executor);
  EXPECT_EQ(counts.allocations, 0);
  EXPECT_EQ(counts.synchronizations, 0);
  EXPECT_EQ(counts.graphs, kSteps);
  EXPECT_EQ(counts.copies, (4 + 1) * kSteps);
}

}  // namespace
}  // namespace ddpm
