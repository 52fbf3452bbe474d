// The emulator as the GPU executors' backend: whole programs run through the code that runs on a GPU, but for
// the libraries' own kernels, which plain loops stand in for.
#include "runtime/gpu/backend.h"
#include "runtime/gpu/gpu_executor.h"
#include "runtime/products/composed_products.h"
#include "runtime/products/plain_primitives.h"
#include "support/error.h"

namespace ddpm {
namespace {

template <typename T>
std::unique_ptr<Executor> make_executor(Program program) {
  return std::make_unique<GpuExecutor<T>>(
      std::move(program),
      ComposedProducts<T>(std::make_unique<PlainPrimitives>(), ComposedProductsOptions()));
}

}  // namespace

std::string gpu_problem() { return {}; }

std::string gpu_name() { return "emulated GPU"; }

DevicePeak gpu_peak(ComputePrecision) { return {}; }

ExecutorFactory gpu_executors(ComputePrecision precision) {
  DDPM_CHECK(precision != ComputePrecision::kAuto);
  return precision == ComputePrecision::kBf16 ? make_executor<BFloat16> : make_executor<float>;
}

}  // namespace ddpm
