// Every operation as plain readable loops on the CPU, in float and double: the oracle that all faster
// implementations are held against. The mathematics is in each operation's own header in kernels/, which also
// declares the functions.
//
// Results do not depend on the number of threads: parallel loops run over independent outputs, and every sum has
// one fixed order.
#pragma once

#include "kernels/adam_ema.h"
#include "kernels/add.h"
#include "kernels/attention.h"
#include "kernels/conv2d.h"
#include "kernels/diffusion.h"
#include "kernels/dynamic_threshold.h"
#include "kernels/group_norm.h"
#include "kernels/guidance.h"
#include "kernels/labels.h"
#include "kernels/linear.h"
#include "kernels/resample.h"
#include "kernels/sampler_step.h"
#include "kernels/softmax.h"
#include "kernels/time_embedding.h"

namespace ddpm::reference {

// y (N,2H,2W,C): each pixel of x (N,H,W,C) four times; and its gradient, dx = sum of the four + residual (or
// null).
template <typename T>
void upsample_nearest(int n, int h, int w, int c, const T* x, T* y);
template <typename T>
void upsample_nearest_backward(int n, int h, int w, int c, const T* dy, const T* residual, T* dx);

}  // namespace ddpm::reference
