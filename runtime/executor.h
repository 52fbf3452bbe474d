// What runs a Program: the interface that training, sampling and the apps see, whatever the device.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "device/graph_nodes.h"
#include "runtime/program/memory_plan.h"
#include "runtime/program/program.h"

namespace ddpm {

// Seconds that an operation took, summed over its runs.
struct OperationTime {
  double seconds = 0;
  int64_t runs = 0;
};

enum class MeasuredForm : uint8_t {
  kGraph,  // on a GPU inside the graph that a step is: see GraphTime
  kEager,  // on a GPU without the graph, for tools that show which kernels were started in which range
};

// A sequence of phases that runs as one graph. Seconds are medians of its last runs. Both forms compute the
// same; `timed` is the graph with an event before and after each operation.
struct GraphTime {
  std::vector<Phase> phases;
  int64_t runs = 0;
  double seconds = 0;
  int64_t timed_runs = 0;
  double timed_seconds = 0;
  int64_t operations = 0;         // in the graph
  double operations_seconds = 0;  // sum over them, from event to event
  double empty_seconds = 0;       // from event to event with nothing between them
  GraphNodes nodes{};             // of the graph without events

  // What the plain graph takes beside its operations: the empty intervals in their sum are the events' and
  // not theirs. May be negative where events took longer than that.
  double gap_seconds() const {
    return seconds - (operations_seconds - static_cast<double>(operations) * empty_seconds);
  }
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

  // From now on measures the operations of every run, on a GPU of every second one; also after it was
  // switched on before, when it begins anew.
  virtual void measure_operations(MeasuredForm form) = 0;
  void measure_operations() { measure_operations(MeasuredForm::kGraph); }
  // Where time goes, by index of operation; empty until measuring was switched on.
  virtual std::vector<OperationTime> operation_times() const = 0;
  // The graphs that were run while it was on; none where nothing runs as a graph.
  virtual std::vector<GraphTime> graph_times() const { return {}; }

  std::vector<float> read(BufferId buffer) const {
    std::vector<float> values(static_cast<size_t>(element_count(program().shape(buffer))));
    read(buffer, values);
    return values;
  }
};

// Makes the executor of a program: which device runs it, and in which precision, is chosen once.
using ExecutorFactory = std::function<std::unique_ptr<Executor>(Program)>;

}  // namespace ddpm
