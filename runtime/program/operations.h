// The operations that a Program is made of. Each is described in its own header in kernels/.
#pragma once

#include <variant>

#include "kernels/adam_ema.h"
#include "kernels/add.h"
#include "kernels/attention.h"
#include "kernels/conv2d.h"
#include "kernels/counter.h"
#include "kernels/diffusion.h"
#include "kernels/dynamic_threshold.h"
#include "kernels/group_norm.h"
#include "kernels/guidance.h"
#include "kernels/labels.h"
#include "kernels/linear.h"
#include "kernels/operation.h"
#include "kernels/resample.h"
#include "kernels/sampler_step.h"
#include "kernels/time_embedding.h"

namespace ddpm {

using AnyOperation =
    std::variant<Conv2d, Conv2dBackwardData, Conv2dBackwardWeight, UpsampleConv2d, UpsampleConv2dBackwardData,
                 UpsampleConv2dBackwardWeight, GroupNorm, GroupNormBackward, Attention, AttentionBackward,
                 Linear, LinearBackward, TimeEmbedding, Add, UpsampleNearest, SumPool, Rescale, OneHot,
                 Diffuse, GatherLabels, Loss, ZeroGradients, AdamEma, AdvanceCounter, SamplerStart, Guidance,
                 DynamicThreshold, SamplerStep>;

// The buffers that the operation works on, without absent ones, in the order of its arguments.
Operands operands(const AnyOperation& operation);

// "conv2d", "group_norm_backward", ...
const char* kind(const AnyOperation& operation);

// Operations and ideal bytes at `element_bytes` an activation (see each operation's header); zero for
// bookkeeping.
Cost cost(const AnyOperation& operation, int element_bytes);

}  // namespace ddpm
