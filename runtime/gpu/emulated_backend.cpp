// The emulator as GPU backend. Whole programs run through the code that runs on a GPU; plain loops
// replace the vendor's libraries.
#include "runtime/gpu/backend.h"
#include "runtime/gpu/gpu_device.h"
#include "runtime/gpu/plain_library.h"
#include "support/error.h"

namespace ddpm {

std::string gpu_problem() { return {}; }

std::string gpu_name() { return "emulated GPU"; }

int64_t gpu_free_memory() { return 0; }

DevicePeak gpu_peak(ComputePrecision) { return {}; }

ExecutorFactory gpu_executors(ComputePrecision precision, const GpuOptions& options, const LogLine&) {
  DDPM_CHECK(precision != ComputePrecision::kAuto);
  const auto make_device =
      precision == ComputePrecision::kBf16 ? make_gpu_device<BFloat16> : make_gpu_device<float>;
  return [make_device, upsample = options.upsample](Program program) {
    return std::make_unique<Executor>(std::move(program),
                                      make_device(std::make_unique<PlainLibrary>(), upsample, Stream()));
  };
}

}  // namespace ddpm
