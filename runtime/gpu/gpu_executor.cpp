#include "runtime/gpu/gpu_executor.h"

#include <algorithm>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

#include "device/graph.h"
#include "device/memory.h"
#include "kernels/cuda/kernels.h"
#include "runtime/gpu/gpu_memory.h"
#include "runtime/gpu/graph_clock.h"
#include "runtime/gpu/operation_clock.h"
#include "runtime/gpu/operation_launcher.h"
#include "runtime/gpu/prefetcher.h"
#include "runtime/gpu/profile_range.h"
#include "runtime/gpu/readback.h"
#include "support/error.h"
#include "support/parallel.h"

namespace ddpm {
namespace {

size_t largest_scratch(const Program& program) {
  size_t bytes = 0;
  for (const Operation& operation : program.operations())
    bytes = std::max(bytes, scratch_bytes(operation.operation));
  return bytes;
}

// A sequence of phases that was run before.
struct Sequence {
  int runs = 0;
  ExecutableGraph graph;
  GraphNodes nodes;                 // of the graph
  std::optional<GraphClock> clock;  // while operations are measured
};

}  // namespace

template <typename T>
struct GpuExecutor<T>::Implementation {
  Implementation(Program given, ComposedProducts<T> computes, Stream runs_on)
      : program(std::move(given)),
        stream(std::move(runs_on)),
        products(std::move(computes)),
        memory(program, stream),
        scratch(largest_scratch(program)) {
    products.prepare(program, stream);
    stream.synchronize();
  }
  // Work may be under way in the memory that goes. What went wrong in it was reported where it was waited
  // for, if anywhere.
  ~Implementation() {
    try {
      stream.synchronize();
    } catch (const Error&) {  // NOLINT(bugprone-empty-catch)
    }
  }
  Implementation(const Implementation&) = delete;
  Implementation& operator=(const Implementation&) = delete;

  size_t elements(BufferId id) const { return static_cast<size_t>(element_count(program.shape(id))); }
  DeviceSpan<float> master(BufferId id) const { return {memory.master(id), elements(id)}; }
  DeviceSpan<T> real(BufferId id) const { return {memory.real(id), elements(id)}; }

  void launch(size_t position) {
    const Operation& operation = program.operations()[position];
    const ProfileRange range(operation.name.c_str());
    if (clock) clock->begin(position, stream);
    launch_operation<T>(operation.operation, {memory, products, scratch.data(), stream});
    if (clock) clock->end(position, stream);
  }

  std::vector<size_t> operations_of(std::span<const Phase> phases) const {
    std::vector<size_t> found;
    for (const Phase phase : phases)
      for (size_t position = 0; position < program.operations().size(); ++position)
        if (program.operations()[position].phase == phase) found.push_back(position);
    return found;
  }

  void launch(std::span<const Phase> phases) {
    for (const Phase phase : phases) {
      const ProfileRange range(kPhaseNames[static_cast<size_t>(phase)]);
      for (const size_t position : operations_of({&phase, 1})) launch(position);
    }
  }

  void run(std::span<const Phase> phases) {
    const ProfileRange range("step");
    if (streamed_bytes) streamed_bytes->copy_next(stream);
    Sequence& sequence = sequences[{phases.begin(), phases.end()}];
    if (clock || sequence.runs++ == 0) {
      launch(phases);
    } else {
      run_graph(sequence, phases);
    }
    if (records) records->append(stream);
  }

  void run_graph(Sequence& sequence, std::span<const Phase> phases) {
    if (sequence.graph.is_empty()) {
      const Graph captured = capture(phases);
      sequence.nodes = captured.nodes();
      sequence.graph.update(captured);
    }
    if (!graph_totals) {
      sequence.graph.launch(stream);
      return;
    }
    if (!sequence.clock)
      sequence.clock.emplace(
          operations_of(phases), [this](size_t position) { launch(position); }, stream, *graph_totals);
    sequence.clock->run(sequence.graph, stream);
  }

  void measure(MeasuredForm form) {
    stream.synchronize();  // graphs may be under way that record the events of an earlier measurement
    for (auto& [phases, sequence] : sequences) sequence.clock.reset();
    clock.reset();
    graph_totals.reset();
    if (form == MeasuredForm::kEager)
      clock.emplace(program.operations().size());
    else
      graph_totals.emplace(program.operations().size());
  }

  std::vector<OperationTime> operation_times() {
    if (clock) return clock->times();
    if (!graph_totals) return {};
    for (auto& [phases, sequence] : sequences)
      if (sequence.clock) sequence.clock->collect();
    return *graph_totals;
  }

  std::vector<GraphTime> graph_times() {
    std::vector<GraphTime> times;
    for (auto& [phases, sequence] : sequences) {
      if (!sequence.clock) continue;
      sequence.clock->collect();
      GraphTime& time = times.emplace_back(sequence.clock->time());
      time.phases = phases;
      time.nodes = sequence.nodes;
    }
    return times;
  }

  Graph capture(std::span<const Phase> phases) {
    GraphCapture recording(stream);
    launch(phases);
    return std::move(recording).finish();
  }

  template <typename U>
  void copy_in(std::span<const U> from, DeviceSpan<U> to) const {
    copy_to_device(from, to, stream);
    stream.synchronize();
  }
  template <typename U>
  void copy_out(DeviceSpan<const U> from, std::span<U> to) const {
    copy_to_host(from, to, stream);
    stream.synchronize();
  }

  void write_real(BufferId buffer, std::span<const float> values) {
    const std::span<T> rounded = staging(values.size());
    parallel_for_chunks(static_cast<int64_t>(values.size()), [&](int64_t, int64_t begin, int64_t end) {
      std::transform(values.begin() + begin, values.begin() + end, rounded.begin() + begin, from_float<T>);
    });
    copy_in<T>(rounded, real(buffer));
  }
  void read_real(BufferId buffer, std::span<float> values) {
    const std::span<T> stored = staging(values.size());
    copy_out<T>(real(buffer), stored);
    parallel_for_chunks(static_cast<int64_t>(values.size()), [&](int64_t, int64_t begin, int64_t end) {
      std::transform(stored.begin() + begin, stored.begin() + end, values.begin() + begin,
                     [](T value) { return to_float(value); });
    });
  }
  // On the host, kept: what compares executors reads and writes gigabytes.
  std::span<T> staging(size_t size) {
    if (staged.size() < size) staged.resize(size);
    return std::span(staged).first(size);
  }

  // The weights computed with follow the parameters that were written.
  void refresh_compute_weights(int64_t first, int64_t count) const {
    if constexpr (!std::is_same_v<T, float>) {
      cuda::convert<float, BFloat16>(count, memory.parameters().data() + first,
                                     memory.compute_weights().data() + first, stream);
      stream.synchronize();
    }
  }

  Program program;
  Stream stream;
  ComposedProducts<T> products;
  GpuMemory<T> memory;
  DeviceBuffer<std::byte> scratch;
  std::vector<T> staged;
  std::optional<std::vector<OperationTime>> graph_totals;  // what the sequences' clocks add to
  std::map<std::vector<Phase>, Sequence> sequences;
  std::optional<Prefetcher> streamed_bytes;
  std::optional<Readback> records;
  std::optional<OperationClock> clock;  // of operations that run one by one
};

template <typename T>
GpuExecutor<T>::GpuExecutor(Program program, ComposedProducts<T> products)
    : GpuExecutor(std::move(program), std::move(products), Stream()) {}
template <typename T>
GpuExecutor<T>::GpuExecutor(Program program, ComposedProducts<T> products, Stream stream)
    : implementation_(
          std::make_unique<Implementation>(std::move(program), std::move(products), std::move(stream))) {}
template <typename T>
GpuExecutor<T>::~GpuExecutor() = default;

template <typename T>
const Program& GpuExecutor<T>::program() const {
  return implementation_->program;
}
template <typename T>
const MemoryPlan& GpuExecutor<T>::memory_plan() const {
  return implementation_->memory.plan();
}

template <typename T>
void GpuExecutor<T>::run(std::span<const Phase> phases) {
  implementation_->run(phases);
}
template <typename T>
void GpuExecutor<T>::run_operation(size_t index) {
  DDPM_CHECK(index < program().operations().size());
  implementation_->launch(index);
}

template <typename T>
void GpuExecutor<T>::write(BufferId buffer, std::span<const float> values) {
  if (program().buffer(buffer).element == Element::kReal) {
    implementation_->write_real(buffer, values);
  } else {
    implementation_->template copy_in<float>(values, implementation_->master(buffer));
    const Buffer& written = program().buffer(buffer);
    if (written.role == Role::kParameter)
      implementation_->refresh_compute_weights(written.arena_offset, element_count(written.shape));
  }
}
template <typename T>
void GpuExecutor<T>::read(BufferId buffer, std::span<float> values) const {
  if (program().buffer(buffer).element == Element::kReal) {
    implementation_->read_real(buffer, values);
  } else {
    implementation_->template copy_out<float>(implementation_->master(buffer), values);
  }
}
template <typename T>
void GpuExecutor<T>::write_index(BufferId buffer, int64_t value) {
  implementation_->template copy_in<int64_t>({&value, 1}, {implementation_->memory.index(buffer), 1});
}
template <typename T>
int64_t GpuExecutor<T>::read_index(BufferId buffer) const {
  int64_t value = 0;
  implementation_->template copy_out<int64_t>(DeviceSpan<int64_t>(implementation_->memory.index(buffer), 1),
                                              {&value, 1});
  return value;
}
template <typename T>
void GpuExecutor<T>::write_parameters(std::span<const float> values) {
  implementation_->template copy_in<float>(values, implementation_->memory.parameters());
  implementation_->refresh_compute_weights(0, program().parameter_elements());
}
template <typename T>
void GpuExecutor<T>::read_parameters(std::span<float> values) const {
  implementation_->template copy_out<float>(implementation_->memory.parameters(), values);
}

template <typename T>
void GpuExecutor<T>::keep_records(std::vector<BufferId> buffers) {
  std::vector<DeviceSpan<const float>> sources;
  for (const BufferId buffer : buffers) {
    DDPM_CHECK(program().buffer(buffer).role != Role::kActivation);
    sources.emplace_back(implementation_->master(buffer));
  }
  implementation_->stream.synchronize();  // copies may be under way into the memory of an earlier ring
  implementation_->records.reset();
  implementation_->records.emplace(std::move(sources));
}
template <typename T>
std::vector<std::vector<float>> GpuExecutor<T>::take_records(size_t pending) {
  if (!implementation_->records) return {};
  return implementation_->records->take(pending);
}

template <typename T>
void GpuExecutor<T>::bind_bytes(BufferId buffer, std::span<const uint8_t> bytes) {
  implementation_->stream.synchronize();
  implementation_->streamed_bytes.reset();
  implementation_->copy_in(bytes, implementation_->memory.bytes_of(buffer));
}
template <typename T>
void GpuExecutor<T>::stream_bytes(BufferId buffer, int64_t first, StepBytes fill) {
  implementation_->stream.synchronize();  // copies may be under way from the memory of an earlier stream
  implementation_->streamed_bytes.emplace(implementation_->memory.bytes_of(buffer), first, std::move(fill));
}

template <typename T>
void GpuExecutor<T>::measure_operations(MeasuredForm form) {
  implementation_->measure(form);
}
template <typename T>
std::vector<OperationTime> GpuExecutor<T>::operation_times() const {
  return implementation_->operation_times();
}
template <typename T>
std::vector<GraphTime> GpuExecutor<T>::graph_times() const {
  return implementation_->graph_times();
}

template class GpuExecutor<float>;
template class GpuExecutor<BFloat16>;

}  // namespace ddpm
