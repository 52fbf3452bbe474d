// Chooses the form of each upsampling convolution of a program, by measurement if the library autotunes.
#pragma once

#include "runtime/library/lowering.h"

namespace ddpm {

// Returns `forms` with a choice for each shape of upsampling convolution, if they are open (kAuto) and the
// library measures: the cached one, or the one in which the layer's passes in the program (forward, data and
// weight gradient) take less time together, with our kernels around the library calls. Before it measures, it
// prepares the library for both forms.
template <typename T>
UpsampleForms choose_upsample_forms(const Program& program, UpsampleForms forms, VendorLibrary& library,
                                    StreamView stream);

extern template UpsampleForms choose_upsample_forms<float>(const Program&, UpsampleForms, VendorLibrary&,
                                                           StreamView);
extern template UpsampleForms choose_upsample_forms<BFloat16>(const Program&, UpsampleForms, VendorLibrary&,
                                                              StreamView);

}  // namespace ddpm
