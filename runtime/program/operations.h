// The operations of a Program; each is described in its header in kernels/.
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

// The operation's buffers, without absent ones, in the order of its arguments.
Operands operands(const AnyOperation& operation);

// "conv2d", "group_norm_backward", ...
const char* kind(const AnyOperation& operation);

// FLOPs and ideal bytes at `element_bytes` per activation (see each operation's header); zero
// for bookkeeping operations.
Cost cost(const AnyOperation& operation, int element_bytes);

}  // namespace ddpm
