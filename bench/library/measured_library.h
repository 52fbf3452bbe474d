// The library that library_benchmark measures: CUDA's, with the plans that the engine chooses, or the emulated GPU's plain
// loops. Implemented twice; a program links one of them.
#pragma once

#include <memory>

#include "runtime/library/vendor_library.h"

namespace ddpm {

std::unique_ptr<VendorLibrary> measured_library();

}  // namespace ddpm
