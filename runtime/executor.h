// The Executor runs a Program: the one interface of training, sampling and the apps to every device.
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

// How many runs a training or sampling loop stays ahead of a GPU (take_records): enough that the GPU never
// waits for the next one, few enough that an interrupt takes effect soon.
inline constexpr size_t kStepsAhead = 8;

// Owns a program, its memory and its device. Host values are float and int64 for every device type. Sizes
// must match the buffer's (LogicError otherwise). An activation's values are defined only during its
// lifetime (see MemoryPlan).
class Executor {
 public:
  // Allocates all memory. InputError if the GPU does not support a shape or has too little memory.
  Executor(Program program, std::unique_ptr<ExecutorDevice> device);
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  const Program& program() const { return program_; }
  const MemoryPlan& memory_plan() const { return memory_.plan(); }
  // Bytes per element on this device.
  ElementSizes element_sizes() const;

  // Runs the operations of these phases, phase by phase, as one step. May return before the device is done;
  // functions that read values wait for it.
  void run(std::span<const Phase> phases) { device_->run(phases); }
  void run(Phase phase) { run(std::span(&phase, 1)); }
  void run(std::initializer_list<Phase> phases) { run(std::span(phases.begin(), phases.size())); }
  // Runs one operation by itself, so that comparisons can read its results before the memory is reused.
  void run_operation(size_t index);

  // Buffers of compute or master type.
  void write(BufferId buffer, std::span<const float> values);
  void read(BufferId buffer, std::span<float> values) const;
  std::vector<float> read(BufferId buffer) const;
  void write_index(BufferId buffer, int64_t value);
  int64_t read_index(BufferId buffer) const;

  // The arena of all parameters (Program::parameter_elements).
  void write_parameters(std::span<const float> values);
  void read_parameters(std::span<float> values) const;

  // From now on each run() appends a record: the values of these buffers (master type, no
  // activations), concatenated. Without buffers, records are empty and take_records() only limits
  // how many runs are pending.
  void keep_records(const std::vector<BufferId>& buffers);
  // Returns the completed records, oldest first, each once. Waits until at most `pending` runs are
  // unfinished, so a caller that calls this after each run stays at most that many steps ahead of the device.
  std::vector<std::vector<float>> take_records(size_t pending) { return device_->take_records(pending); }

  // A program has at most one buffer of bytes (LogicError for a second one).
  //
  // The buffer (role kInput, bytes) reads `bytes` from now on; they must outlive the executor. Ends a stream.
  void bind_bytes(BufferId buffer, std::span<const uint8_t> bytes);
  // From now on every run() reads new bytes in the buffer (role kInput, bytes): `fill` writes those
  // of step `first`, then of first + 1, ... An exception from `fill` is rethrown by the run of its
  // step. `fill` is called until the executor ends, or until the next bind_bytes or stream_bytes: one
  // buffer at a time streams.
  void stream_bytes(BufferId buffer, int64_t first, StepBytes fill);

  // Measures the operations of each run from now on; on a GPU, with kGraph, of every second run. Restarts a
  // measurement that is already on.
  void measure_operations(MeasuredForm form = MeasuredForm::kGraph) { device_->measure_operations(form); }
  // Time of each operation, by its index; empty before measure_operations().
  std::vector<OperationTime> operation_times() const { return device_->operation_times(); }
  // The graphs run while measuring; empty on devices without graphs.
  std::vector<GraphTime> graph_times() const { return device_->graph_times(); }

 protected:
  const ProgramMemory& memory() const { return memory_; }

 private:
  ElementType type_of(BufferId buffer) const;
  void check_bytes(BufferId buffer);
  std::span<std::byte> staging(ElementType type, size_t count) const;
  void store(ElementType type, std::span<const float> values, void* to);
  void load(ElementType type, const void* from, std::span<float> values) const;
  // Copies written parameters to the weights that layers compute with, if those are separate.
  void refresh_compute_weights(int64_t first, std::span<const float> values);

  Program program_;
  std::unique_ptr<ExecutorDevice> device_;
  ProgramMemory memory_;
  BufferId bytes_ = kNoBuffer;             // the one that bytes were bound to
  mutable std::vector<std::byte> staged_;  // reused: comparing executors moves gigabytes
};

// Makes an executor for a program, on a device and in a precision that were chosen once.
using ExecutorFactory = std::function<std::unique_ptr<Executor>(Program)>;

}  // namespace ddpm
