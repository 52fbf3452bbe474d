// The form in which each upsampling convolution of a program is computed: measured, where the library measures.
#pragma once

#include "runtime/library/lowering.h"

namespace ddpm {

// The forms with one chosen for each shape of upsampling convolution, where they are open and the library measures:
// known from an earlier run, or the one in which the passes that the program has of such a layer (forward, gradients of
// data and weight) take less time together, with our own kernels around the library calls. Prepares the library for
// both forms where it measures.
template <typename T>
UpsampleForms choose_upsample_forms(const Program& program, UpsampleForms forms, VendorLibrary& library,
                                    StreamView stream);

extern template UpsampleForms choose_upsample_forms<float>(const Program&, UpsampleForms, VendorLibrary&,
                                                           StreamView);
extern template UpsampleForms choose_upsample_forms<BFloat16>(const Program&, UpsampleForms, VendorLibrary&,
                                                              StreamView);

}  // namespace ddpm
