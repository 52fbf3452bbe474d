// Every operation as plain loops on the CPU, in float and double: the oracle for all faster implementations,
// as close to the formulas as code can be. The math is in each operation's header in kernels/, which also
// declares the functions. Sums are taken in double and rounded to T once. kernels/cpu/cpu.h has float
// versions tuned for speed.
//
// Results do not depend on the number of threads: parallel loops write independent outputs, and every sum has
// a fixed order.
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

// y (N,2H,2W,C) repeats each pixel of x (N,H,W,C) four times; the gradient is dx = sum of the four + residual
// (may be null).
template <typename T>
void upsample_nearest(int n, int h, int w, int c, const T* x, T* y);
template <typename T>
void upsample_nearest_backward(int n, int h, int w, int c, const T* dy, const T* residual, T* dx);

}  // namespace ddpm::reference
