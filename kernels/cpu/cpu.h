// Tuned float versions of the operations that dominate a CPU training step, with the names, shapes and
// arguments of kernels/reference/reference.h. They are written so that the compiler vectorizes them:
// independent partial sums, an exponential without a library call, blocks of parameters. Convolutions and
// attention go to oneDNN instead (runtime/cpu/onednn_ops.h), and operations that are absent here are
// memory-bound loops already.
//
// Results do not depend on the number of threads: parallel loops write independent outputs, and every sum has
// a fixed order.
#pragma once

#include "kernels/adam_ema.h"
#include "kernels/group_norm.h"
#include "kernels/linear.h"
#include "kernels/softmax.h"

namespace ddpm::cpu {

void group_norm(const GroupNormParams& params, const GroupNormArgs<float>& args);
void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<float>& args);

void softmax(const SoftmaxParams& params, const SoftmaxArgs<float>& args);
void softmax_backward(const SoftmaxParams& params, const SoftmaxBackwardArgs<float>& args);

void linear(const LinearParams& params, const LinearArgs<float>& args);
void linear_backward(const LinearParams& params, const LinearBackwardArgs<float>& args);

void adam_ema(const AdamParams& params, const AdamEmaArgs<float>& args);

}  // namespace ddpm::cpu
