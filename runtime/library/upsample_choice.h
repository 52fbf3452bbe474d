// In which form each upsampling convolution of a program is computed: measured, where the primitives
// measure.
#pragma once

#include "runtime/library/composed_products.h"

namespace ddpm {

// The forms with one chosen for each shape of upsampling convolution, where they are open and the primitives
// measure: known from an earlier run, or the one in which the passes that the program has of such a layer
// (forward, gradients of data and weight) take less time together, with our own kernels around the products.
// Makes the primitives ready for both forms where it measures.
template <typename T>
UpsampleForms choose_upsample_forms(const Program& program, UpsampleForms forms,
                                    ProductPrimitives& primitives, StreamView stream);

extern template UpsampleForms choose_upsample_forms<float>(const Program&, UpsampleForms, ProductPrimitives&,
                                                           StreamView);
extern template UpsampleForms choose_upsample_forms<BFloat16>(const Program&, UpsampleForms,
                                                              ProductPrimitives&, StreamView);

}  // namespace ddpm
