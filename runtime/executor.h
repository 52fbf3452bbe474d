// What runs a Program: the class that training, sampling and the apps see, whatever the device.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "runtime/executor_device.h"
#include "runtime/program/program.h"
#include "runtime/program_memory.h"

namespace ddpm {

// How many runs a loop stays ahead of a GPU (take_records): enough that the GPU never waits for the next one, few
// enough that the loop can be interrupted soon.
inline constexpr size_t kStepsAhead = 8;

// Owns a program, its memory and the device it runs on. Host values are float and int64 whatever the device's types;
// sizes must be the buffer's (LogicError otherwise). Values of activations are defined only while they live: see
// MemoryPlan.
class Executor {
 public:
  // Allocates everything. InputError for a shape that the device cannot compute, or more memory than there is.
  Executor(Program program, std::unique_ptr<ExecutorDevice> device);
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  const Program& program() const { return program_; }
  const MemoryPlan& memory_plan() const { return memory_.plan(); }
  // What the device's elements take.
  ElementSizes element_sizes() const;

  // Runs the operations of these phases, phase by phase, as one step. It may return before they are done; whatever
  // reads values waits for them.
  void run(std::span<const Phase> phases) { device_->run(phases); }
  void run(Phase phase) { run(std::span(&phase, 1)); }
  void run(std::initializer_list<Phase> phases) { run(std::span(phases.begin(), phases.size())); }
  // Runs the operation of this index alone: what compares executors looks at values before memory is reused.
  void run_operation(size_t index);

  // Values of compute or master type.
  void write(BufferId buffer, std::span<const float> values);
  void read(BufferId buffer, std::span<float> values) const;
  std::vector<float> read(BufferId buffer) const;
  void write_index(BufferId buffer, int64_t value);
  int64_t read_index(BufferId buffer) const;

  // The arena of all parameters (Program::parameter_elements).
  void write_parameters(std::span<const float> values);
  void read_parameters(std::span<float> values) const;

  // From now on each run() ends with a record: the values of these buffers (master, no activations), one after
  // another. Records of no buffer are empty: they only let take_records() keep count.
  void keep_records(const std::vector<BufferId>& buffers);
  // Hands out the records that are complete, oldest first, each once. Waits until at most `pending` runs are under
  // way, so that a caller who asks after each run stays at most that many steps ahead of the device.
  std::vector<std::vector<float>> take_records(size_t pending) { return device_->take_records(pending); }

  // Uses `bytes` as the buffer (role kInput, bytes) from now on; the memory must outlive the executor.
  void bind_bytes(BufferId buffer, std::span<const uint8_t> bytes);
  // From now on every run() finds new bytes in the buffer (role kInput, bytes): those that `fill` gives for step
  // `first`, first + 1, ... What `fill` throws, the run of that step throws. It is called until the executor's end, or
  // until this function is called again.
  void stream_bytes(BufferId buffer, int64_t first, StepBytes fill);

  // From now on measures the operations of every run, on a GPU of every second one; starts anew if it was on.
  void measure_operations(MeasuredForm form = MeasuredForm::kGraph) { device_->measure_operations(form); }
  // Where time goes, by index of operation; empty until measuring was switched on.
  std::vector<OperationTime> operation_times() const { return device_->operation_times(); }
  // The graphs that were run while it was on; none where nothing runs as a graph.
  std::vector<GraphTime> graph_times() const { return device_->graph_times(); }

 protected:
  const ProgramMemory& memory() const { return memory_; }

 private:
  ElementType type_of(BufferId buffer) const;
  void check_bytes(BufferId buffer) const;
  void store(ElementType type, std::span<const float> values, void* to);
  void load(ElementType type, const void* from, std::span<float> values) const;
  // The weights computed with follow the parameters that were written.
  void refresh_compute_weights(int64_t first, std::span<const float> values);

  Program program_;
  std::unique_ptr<ExecutorDevice> device_;
  ProgramMemory memory_;
  mutable std::vector<std::byte> staged_;  // kept: what compares executors reads and writes gigabytes
};

// Makes the executor of a program: which device runs it, and in which precision, is chosen once.
using ExecutorFactory = std::function<std::unique_ptr<Executor>(Program)>;

}  // namespace ddpm
