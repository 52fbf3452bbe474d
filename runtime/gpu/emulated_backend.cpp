// The emulator as the GPU executors' backend: our kernels on the host, products by plain loops.
#include "runtime/gpu/backend.h"
#include "runtime/gpu/gpu_executor.h"
#include "runtime/gpu/reference_products.h"
#include "support/error.h"

namespace ddpm {
namespace {

template <typename T>
std::unique_ptr<Executor> make_executor(Program program) {
  return std::make_unique<GpuExecutor<T>>(std::move(program), make_reference_products<T>());
}

}  // namespace

std::string gpu_problem() { return {}; }

std::string gpu_name() { return "emulated GPU"; }

ExecutorFactory gpu_executors(ComputePrecision precision) {
  DDPM_CHECK(precision != ComputePrecision::kAuto);
  return precision == ComputePrecision::kBf16 ? make_executor<BFloat16> : make_executor<float>;
}

}  // namespace ddpm
