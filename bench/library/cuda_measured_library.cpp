#include "bench/library/measured_library.h"
#include "runtime/library/cuda_library.h"

namespace ddpm {

std::unique_ptr<VendorLibrary> measured_library() {
  return std::make_unique<CudaLibrary>(CudaLibraryOptions{});
}

}  // namespace ddpm
