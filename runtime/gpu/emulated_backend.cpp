// The emulator as the GPU executors' backend: whole programs run through the code that runs on a GPU, but for
// the libraries' own kernels, which plain loops stand in for.
#include "runtime/gpu/backend.h"
#include "runtime/gpu/gpu_executor.h"
#include "runtime/gpu/plain_primitives.h"
#include "runtime/library/composed_products.h"
#include "support/error.h"

namespace ddpm {
namespace {

template <typename T>
ExecutorFactory executors(const ComposedProductsOptions& options) {
  return [options](Program program) {
    return std::make_unique<GpuExecutor<T>>(
        std::move(program), ComposedProducts<T>(std::make_unique<PlainPrimitives>(), options));
  };
}

}  // namespace

std::string gpu_problem() { return {}; }

std::string gpu_name() { return "emulated GPU"; }

int64_t gpu_free_memory() { return 0; }

DevicePeak gpu_peak(ComputePrecision) { return {}; }

ExecutorFactory gpu_executors(ComputePrecision precision, const GpuOptions& options, const LogLine&) {
  DDPM_CHECK(precision != ComputePrecision::kAuto);
  const ComposedProductsOptions composition{.upsample = options.upsample};
  return precision == ComputePrecision::kBf16 ? executors<BFloat16>(composition)
                                              : executors<float>(composition);
}

}  // namespace ddpm
