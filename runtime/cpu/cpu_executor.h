// The CPU executor: in float, oneDNN and the tuned kernels of kernels/cpu; or, in float or double, the plain
// loops of kernels/reference, against which all other implementations are tested.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "runtime/executor.h"
#include "support/error.h"

namespace ddpm {

enum class CpuKernels : uint8_t {
  kFast,       // oneDNN and kernels/cpu; float only: double always uses the reference
  kReference,  // plain loops
};

// T is float or double: the type of both DType::kCompute and DType::kMaster.
template <typename T>
std::unique_ptr<ExecutorDevice> make_cpu_device(CpuKernels kernels);

extern template std::unique_ptr<ExecutorDevice> make_cpu_device<float>(CpuKernels);
extern template std::unique_ptr<ExecutorDevice> make_cpu_device<double>(CpuKernels);

// An Executor with direct access to its memory.
template <typename T>
class CpuExecutor final : public Executor {
 public:
  explicit CpuExecutor(Program program, CpuKernels kernels = CpuKernels::kFast)
      : Executor(std::move(program), make_cpu_device<T>(kernels)) {}

  // The buffer's memory, not a copy.
  std::span<T> values(BufferId buffer) { return {at(buffer), size(buffer)}; }
  std::span<const T> values(BufferId buffer) const { return {at(buffer), size(buffer)}; }
  // The arenas of all parameters and of all their gradients.
  std::span<T> parameters() {
    return {static_cast<T*>(memory().parameters()), static_cast<size_t>(program().parameter_elements())};
  }
  std::span<T> gradients() {
    return {static_cast<T*>(memory().gradients()), static_cast<size_t>(program().gradient_elements())};
  }

 private:
  T* at(BufferId buffer) const {
    const DType dtype = program().buffer(buffer).dtype;
    DDPM_CHECK(dtype == DType::kCompute || dtype == DType::kMaster);
    return static_cast<T*>(memory().address(buffer));
  }
  size_t size(BufferId buffer) const { return static_cast<size_t>(element_count(program().shape(buffer))); }
};

// The executor in float, as an ExecutorFactory.
std::unique_ptr<Executor> make_cpu_executor(Program program);

}  // namespace ddpm
