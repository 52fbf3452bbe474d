// The GPU backend of a build without CUDA: it only reports why there is none.
#include "runtime/gpu/backend.h"
#include "support/error.h"

namespace ddpm {

std::string gpu_problem() { return "this program was built without CUDA"; }

std::string gpu_name() { return {}; }

int64_t gpu_free_memory() { return 0; }

DevicePeak gpu_peak(ComputePrecision) { return {}; }

ExecutorFactory gpu_executors(ComputePrecision, const GpuOptions&, const LogLine&) {
  throw LogicError("this program was built without a GPU backend");
}

}  // namespace ddpm
