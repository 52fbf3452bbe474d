// What an Executor runs on: memory, and a program's operations lowered to what the device launches. Implemented by
// runtime/cpu/cpu_device.cpp and runtime/gpu/gpu_device.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "device/element_type.h"
#include "device/graph_nodes.h"
#include "runtime/program/program.h"

namespace ddpm {

class ProgramMemory;

// Seconds that an operation took, summed over its runs.
struct OperationTime {
  double seconds = 0;
  int64_t runs = 0;
};

enum class MeasuredForm : uint8_t {
  kGraph,  // on a GPU inside the graph that a step is: see GraphTime
  kEager,  // on a GPU without the graph, for tools that show which kernels were started in which range
};

// A sequence of phases that runs as one graph. Seconds are medians of its last runs. Both forms compute the same;
// `timed` is the graph with an event before and after each operation.
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

  // What the plain graph takes besides its operations: the empty intervals in their sum are the events' and not
  // theirs. May be negative where events took longer than that.
  double gap_seconds() const {
    return seconds - (operations_seconds - static_cast<double>(operations) * empty_seconds);
  }
};

// Writes the bytes of one step. Devices may call it on a thread of their own, steps ahead of the one that runs.
using StepBytes = std::function<void(int64_t step, std::span<uint8_t> bytes)>;

class ExecutorDevice {
 public:
  virtual ~ExecutorDevice() = default;

  // The types of DType::kCompute and DType::kMaster.
  virtual ElementType compute_type() const = 0;
  virtual ElementType master_type() const = 0;

  // 256-byte aligned memory that lives as long as the device. InputError where there is not enough.
  enum class Contents : uint8_t { kZeros, kUndefined };
  virtual void* allocate(int64_t bytes, Contents contents) = 0;
  // Copies that wait for all work given to the device before, and are done when they return.
  virtual void copy_in(void* to, const void* from, size_t bytes) = 0;
  virtual void copy_out(void* to, const void* from, size_t bytes) const = 0;

  // Lowers the operations of the program; once, before any of them runs. Both must outlive the device's last run.
  virtual void prepare(const Program& program, const ProgramMemory& memory) = 0;
  // The operations of these phases as one step, captured and replayed as a graph where the device has graphs.
  virtual void run(std::span<const Phase> phases) = 0;
  virtual void run_operation(size_t index) = 0;

  // What a buffer of bytes reads from now on; returns its address. `current` is its address until now, or null.
  virtual void* bind_bytes(void* current, std::span<const uint8_t> bytes) = 0;
  // Fills the `count` bytes anew for each step; returns their address.
  virtual void* stream_bytes(void* current, int64_t count, int64_t first, StepBytes fill) = 0;

  // From now on each step ends with a record of these values of master_type(), given as addresses and counts.
  struct Source {
    const void* address;
    size_t count;
  };
  virtual void keep_records(std::vector<Source> sources) = 0;
  virtual std::vector<std::vector<float>> take_records(size_t pending) = 0;

  virtual void measure_operations(MeasuredForm form) = 0;
  virtual std::vector<OperationTime> operation_times() const = 0;
  virtual std::vector<GraphTime> graph_times() const { return {}; }
};

}  // namespace ddpm
