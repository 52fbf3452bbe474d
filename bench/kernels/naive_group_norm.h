// Naive group normalization, the baseline of group_norm_benchmark.cpp.
#pragma once

#include "device/bfloat16.h"
#include "device/stream.h"
#include "kernels/group_norm.h"

namespace ddpm::naive {

// One source and SiLU, no fusions.
void group_norm(const GroupNormParams& params, const GroupNormArgs<BFloat16, float>& args, StreamView stream);
// Only dx.
void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<BFloat16, float>& args,
                         StreamView stream);

}  // namespace ddpm::naive
