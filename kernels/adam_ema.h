// The optimiser's step over all parameters at once: gradient-norm clipping, Adam(W), and the exponential
// moving average of the weights. Implementation: kernels/reference/adam_ema.cpp.
#pragma once

#include <cstdint>

#include "kernels/cost.h"

namespace ddpm {

// With k = *step (0 at the first), g the gradients and norm = ||g||_2 over all parameters:
//   g    *= min(1, clip_norm / (norm + 1e-6))                       clip_norm 0: no clipping (PyTorch's
//   formula) lr_k  = learning_rate * min(1, (k+1) / warmup_steps)            warmup_steps 0: constant m     =
//   beta1 m + (1-beta1) g,   v = beta2 v + (1-beta2) g^2    Kingma & Ba 2015, algorithm 1 w    -= lr_k *
//   weight_decay * w                                 decoupled: Loshchilov & Hutter 2019 w    -= lr_k * mhat
//   / (sqrt(vhat) + eps)                        mhat = m / (1 - beta1^(k+1)), vhat likewise ema   = d_k ema +
//   (1 - d_k) w,   d_k = ema_decay, or min(ema_decay, (1+k)/(10+k)) where ema_ramp is set
struct AdamEmaShape {
  int64_t count = 0;  // parameters, with the padding between them
  double learning_rate = 2e-4;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;
  double clip_norm = 1.0;
  int64_t warmup_steps = 0;
  double ema_decay = 0.9999;
  bool ema_ramp = false;

  bool operator==(const AdamEmaShape&) const = default;
};

// All arrays (count). gradient_norm and learning_rate (1) report norm (before clipping) and lr_k.
template <typename T>
struct AdamEmaArgs {
  const int64_t* step;
  const T* gradients;
  T* parameters;
  T* m;
  T* v;
  T* ema;
  T* gradient_norm;
  T* learning_rate;
};

// Reads g (twice where the norm is needed), w, m, v, ema; writes w, m, v, ema.
inline Cost cost(const AdamEmaShape& s, int element_bytes) {
  return {20.0 * double(s.count), 10.0 * element_bytes * double(s.count)};
}

}  // namespace ddpm
