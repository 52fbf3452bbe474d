// The CPU executor, which runs programs without a GPU and checks the GPU executor. In float it uses oneDNN for
// convolutions and attention and the tuned loops of kernels/cpu; in double the plain loops of kernels/reference.
#pragma once

#include <memory>
#include <span>

#include "runtime/executor.h"

namespace ddpm {

// The implementation of the operations that have several.
enum class CpuProducts : uint8_t {
  kFast,        // oneDNN and kernels/cpu (float only; double always runs the plain loops)
  kPlainLoops,  // kernels/reference
};

// T is float or double: the type of both Element::kReal and Element::kMaster.
template <typename T>
class CpuExecutor final : public Executor {
 public:
  explicit CpuExecutor(Program program, CpuProducts products = CpuProducts::kFast);
  ~CpuExecutor() override;
  CpuExecutor(const CpuExecutor&) = delete;
  CpuExecutor& operator=(const CpuExecutor&) = delete;

  const Program& program() const override;
  const MemoryPlan& memory_plan() const override;
  Precision precision() const override { return {.real = sizeof(T), .master = sizeof(T)}; }
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
  void bind_bytes(BufferId buffer, std::span<const uint8_t> bytes) override;
  void stream_bytes(BufferId buffer, int64_t first, StepBytes fill) override;
  void measure_operations(MeasuredForm form) override;
  using Executor::measure_operations;
  std::vector<OperationTime> operation_times() const override;

  // The buffer's own memory.
  std::span<T> values(BufferId buffer);
  std::span<const T> values(BufferId buffer) const;
  // The arenas of all parameters and of all their gradients.
  std::span<T> parameters();
  std::span<const T> parameters() const;
  std::span<T> gradients();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

// The executor in float, as an ExecutorFactory.
std::unique_ptr<Executor> make_cpu_executor(Program program);

extern template class CpuExecutor<float>;
extern template class CpuExecutor<double>;

}  // namespace ddpm
