// The executor of the GPU: our kernels, and cuDNN and cuBLASLt for the products, on one stream, a whole
// step captured as one graph. It knows neither CUDA nor the emulator: which of the two it runs on is a
// matter of what the program is linked with (device/stream.h).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "device/bfloat16.h"
#include "runtime/executor.h"
#include "runtime/library/composed_products.h"

namespace ddpm {

// T, float or BFloat16, is the type of Element::kReal and of the weights that products compute with. Masters
// are float.
//
// The first run() of a sequence of phases runs it operation by operation, which loads the kernels; the second
// captures it as a graph, and from then on a run is one launch that allocates nothing and waits for nothing.
// Measuring begins with the graph: the first run is not measured, and from the second on a graph with events
// around each operation takes turns with the plain one (runtime/gpu/graph_clock.h). In the form kEager
// every run goes operation by operation.
template <typename T>
class GpuExecutor final : public Executor {
 public:
  // Allocates everything. InputError for a shape that nothing here can compute, or more memory than there is.
  GpuExecutor(Program program, ComposedProducts<T> products);
  // As above on a given stream: tests choose the emulator's order of threads by it.
  GpuExecutor(Program program, ComposedProducts<T> products, Stream stream);
  ~GpuExecutor() override;
  GpuExecutor(const GpuExecutor&) = delete;
  GpuExecutor& operator=(const GpuExecutor&) = delete;

  const Program& program() const override;
  const MemoryPlan& memory_plan() const override;
  Precision precision() const override { return {.real = sizeof(T), .master = sizeof(float)}; }
  void run(std::span<const Phase> phases) override;
  using Executor::run;
  void run_operation(size_t index) override;
  void write(BufferId buffer, std::span<const float> values) override;
  void read(BufferId buffer, std::span<float> values) const override;
  using Executor::read;
  void write_index(BufferId buffer, int64_t value) override;
  int64_t read_index(BufferId buffer) const override;
  void write_parameters(std::span<const float> values) override;
  void read_parameters(std::span<float> values) const override;
  void keep_records(std::vector<BufferId> buffers) override;
  std::vector<std::vector<float>> take_records(size_t pending) override;
  // Copies them: from then on the device reads its own memory.
  void bind_bytes(BufferId buffer, std::span<const uint8_t> bytes) override;
  void stream_bytes(BufferId buffer, int64_t first, StepBytes fill) override;
  void measure_operations(MeasuredForm form) override;
  using Executor::measure_operations;
  std::vector<OperationTime> operation_times() const override;
  std::vector<GraphTime> graph_times() const override;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

extern template class GpuExecutor<float>;
extern template class GpuExecutor<BFloat16>;

}  // namespace ddpm
