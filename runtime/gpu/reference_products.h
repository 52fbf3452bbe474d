// Convolutions, linear layers and attention by the plain loops of kernels/reference, where device memory is
// the host's: in the emulator. Depends on runtime/gpu/products.h; the emulator stays in the .cpp.
#pragma once

#include <memory>

#include "kernels/device/bfloat16.h"
#include "runtime/gpu/products.h"

namespace ddpm {

// T is float or BFloat16; bf16 operands are widened, computed with in float, and results rounded once.
template <typename T>
std::unique_ptr<GpuProducts<T>> make_reference_products();

extern template std::unique_ptr<GpuProducts<float>> make_reference_products();
extern template std::unique_ptr<GpuProducts<BFloat16>> make_reference_products();

}  // namespace ddpm
