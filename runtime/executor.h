// What runs a Program: the interface that training, sampling and the apps see, whatever the device.
// Depends on runtime/{memory_plan,program}.h.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "runtime/memory_plan.h"
#include "runtime/program.h"

namespace ddpm {

// Seconds that an operation took, summed over its runs.
struct OperationTime {
  double seconds = 0;
  int64_t runs = 0;
};

// Writes the bytes of one step. Executors may call it on a thread of their own, steps ahead of the one that
// runs.
using StepBytes = std::function<void(int64_t step, std::span<uint8_t> bytes)>;

// How many runs a loop stays ahead of a GPU (take_records): enough that the GPU never waits for the next one,
// few enough that the loop can be interrupted soon.
inline constexpr size_t kStepsAhead = 8;

// Owns all memory of a program. Host values are float and int64 whatever the device's precision; sizes must
// be the buffer's (LogicError otherwise). Values of activations are defined only while they live: see
// MemoryPlan.
class Executor {
 public:
  virtual ~Executor() = default;

  virtual const Program& program() const = 0;
  virtual const MemoryPlan& memory_plan() const = 0;
  // What its elements take.
  virtual Precision precision() const = 0;

  // Runs the operations of these phases, phase by phase, as one step. It may return before they are done;
  // whatever reads values waits for them.
  virtual void run(std::span<const Phase> phases) = 0;
  void run(Phase phase) { run(std::span(&phase, 1)); }
  void run(std::initializer_list<Phase> phases) { run(std::span(phases.begin(), phases.size())); }

  // Runs the operation of this index alone: what compares executors looks at values before memory is reused.
  virtual void run_operation(size_t index) = 0;

  virtual void write(BufferId buffer, std::span<const float> values) = 0;
  virtual void read(BufferId buffer, std::span<float> values) const = 0;
  virtual void write_index(BufferId buffer, int64_t value) = 0;
  virtual int64_t read_index(BufferId buffer) const = 0;

  // The arena of all parameters (Program::parameter_elements): what states of that size are laid out like.
  virtual void write_parameters(std::span<const float> values) = 0;
  virtual void read_parameters(std::span<float> values) const = 0;

  // From now on each run() ends with a record: the values of these buffers (master, no activations), one
  // after another. Records of no buffer are empty: they only let take_records() keep count.
  virtual void keep_records(std::vector<BufferId> buffers) = 0;
  // Hands out the records that are complete, oldest first, each once. Waits until at most `pending` runs are
  // under way, so that a caller who asks after each run stays that many steps ahead of the device at the
  // most.
  virtual std::vector<std::vector<float>> take_records(size_t pending) = 0;

  // Uses `bytes` as the buffer (role kInput, bytes) from now on; the memory must outlive the executor.
  virtual void bind_bytes(BufferId buffer, std::span<const uint8_t> bytes) = 0;
  // From now on every run() finds other bytes in the buffer (role kInput, bytes): those that `fill` gives for
  // step `first`, first + 1, ... What `fill` throws, the run of that step throws. It is called until the
  // executor's end, or until this function is called again.
  virtual void stream_bytes(BufferId buffer, int64_t first, StepBytes fill) = 0;

  // Where time goes, by index of operation; empty until measuring was switched on.
  virtual void measure_operations() = 0;
  virtual std::vector<OperationTime> operation_times() const = 0;

  std::vector<float> read(BufferId buffer) const {
    std::vector<float> values(static_cast<size_t>(element_count(program().shape(buffer))));
    read(buffer, values);
    return values;
  }
};

// Makes the executor of a program: which device runs it, and in which precision, is chosen once.
using ExecutorFactory = std::function<std::unique_ptr<Executor>(Program)>;

}  // namespace ddpm
