#include "bench/library/measured_library.h"
#include "runtime/gpu/plain_library.h"

namespace ddpm {

std::unique_ptr<VendorLibrary> measured_library() { return std::make_unique<PlainLibrary>(); }

}  // namespace ddpm
