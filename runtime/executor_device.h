// What an Executor runs on: memory, and a program's operations lowered to what the device launches.
// Implemented by runtime/cpu/cpu_device.cpp and runtime/gpu/gpu_device.cpp.
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

// Seconds spent in an operation, summed over its runs.
struct OperationTime {
  double seconds = 0;
  int64_t runs = 0;
};

enum class MeasuredForm : uint8_t {
  kGraph,  // on a GPU, within the step's graph: see GraphTime
  kEager,  // on a GPU, without a graph: for profilers that attribute kernels to ranges
};

// A sequence of phases that runs as one graph. Seconds are medians over recent runs. Both forms compute the
// same; the timed graph has an event before and after each operation.
struct GraphTime {
  std::vector<Phase> phases;
  int64_t runs = 0;
  double seconds = 0;
  int64_t timed_runs = 0;
  double timed_seconds = 0;
  int64_t operations = 0;         // in the graph
  double operations_seconds = 0;  // summed from event to event
  double empty_seconds = 0;       // from event to event around nothing
  GraphNodes nodes{};             // of the plain graph

  // Time of the plain graph outside its operations. The empty interval, the events' own cost, is subtracted
  // from each operation. May be negative if events cost more than that.
  double gap_seconds() const {
    return seconds - (operations_seconds - static_cast<double>(operations) * empty_seconds);
  }
};

// Writes the bytes of one step. A device may call it on a thread of its own, several steps ahead.
using StepBytes = std::function<void(int64_t step, std::span<uint8_t> bytes)>;

class ExecutorDevice {
 public:
  virtual ~ExecutorDevice() = default;

  // The element types of DType::kCompute and DType::kMaster.
  virtual ElementType compute_type() const = 0;
  virtual ElementType master_type() const = 0;

  // 256-byte aligned memory, freed with the device. InputError if the GPU has too little,
  // std::bad_alloc on the CPU.
  enum class Contents : uint8_t { kZeros, kUndefined };
  virtual void* allocate(int64_t bytes, Contents contents) = 0;
  // Synchronous copies, ordered after all work already submitted to the device.
  virtual void copy_in(void* to, const void* from, size_t bytes) = 0;
  virtual void copy_out(void* to, const void* from, size_t bytes) const = 0;

  // Lowers the program's operations; called once, before any of them runs. The arguments must outlive the
  // device's last run.
  virtual void prepare(const Program& program, const ProgramMemory& memory) = 0;
  // Runs these phases as one step, captured and replayed as a graph on devices with graphs.
  virtual void run(std::span<const Phase> phases) = 0;
  virtual void run_operation(size_t index) = 0;

  // Makes a byte buffer read these bytes and returns its new address. `current`: its address so far, or null.
  virtual void* bind_bytes(void* current, std::span<const uint8_t> bytes) = 0;
  // Makes `fill` write the buffer's `count` bytes for each step; returns its new address.
  virtual void* stream_bytes(void* current, int64_t count, int64_t first, StepBytes fill) = 0;

  // From now on each step ends with a record of these values, all of master_type().
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
