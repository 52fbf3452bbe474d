// The library that library_benchmark measures: CUDA's with autotuned plans, or the emulated GPU's plain
// loops. Each program links one of the two implementations.
#pragma once

#include <memory>

#include "runtime/library/vendor_library.h"

namespace ddpm {

std::unique_ptr<VendorLibrary> measured_library();

}  // namespace ddpm
