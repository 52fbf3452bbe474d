// The optimizer step over all parameters at once: gradient-norm clipping, Adam(W), and the exponential
// moving average of the weights.
#pragma once

#include <algorithm>
#include <cstdint>

#include "device/bfloat16.h"
#include "device/memory.h"
#include "kernels/operation.h"

namespace ddpm {

// With k = *step (0 at the first), g the gradients and norm = ||g||_2 over all parameters:
//   g    *= min(1, clip_norm / (norm + 1e-6))            clip_norm 0: no clipping (PyTorch's formula)
//   lr_k  = learning_rate min(1, (k+1) / warmup_steps)   warmup_steps 0: constant
//   m     = beta1 m + (1 - beta1) g
//   v     = beta2 v + (1 - beta2) g^2                    Kingma & Ba 2015, algorithm 1
//   w    -= lr_k weight_decay w                          decoupled: Loshchilov & Hutter 2019
//   w    -= lr_k mhat / (sqrt(vhat) + eps)               mhat = m / (1 - beta1^(k+1)), vhat likewise
//   ema   = d_k ema + (1 - d_k) w                        d_k = ema_decay; with ema_ramp at most (1+k)/(10+k)
struct AdamParams {
  int64_t count = 0;  // parameters, with the padding between them
  double learning_rate = 2e-4;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;
  double clip_norm = 1.0;
  int64_t warmup_steps = 0;
  double ema_decay = 0.9999;
  bool ema_ramp = false;

  bool operator==(const AdamParams&) const = default;
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
  BFloat16* compute_weights = nullptr;  // the bf16 copy that the network computes with; null: there is none
};

// Reads g (twice where the norm is needed), w, m, v, ema; writes w, m, v, ema.
inline Cost cost(const AdamParams& p, int element_bytes) {
  return {20.0 * double(p.count), 10.0 * element_bytes * double(p.count)};
}

// array (count) = 0.
template <typename T>
struct ZeroArgs {
  T* array;
};

namespace reference {
template <typename T>
void adam_ema(const AdamParams& params, const AdamEmaArgs<T>& args);
}  // namespace reference

namespace cuda {
size_t adam_ema_scratch_bytes(const AdamParams& params);
void adam_ema(const AdamParams& params, const AdamEmaArgs<float>& args, BFloat16* compute_weights,
              void* scratch, StreamView stream);
}  // namespace cuda

// Works on the arenas of all parameters and all gradients (Program::parameter_arena(), gradient_arena()),
// and on states of their size.
struct AdamEma {
  AdamParams params;
  BufferId step, gradients, parameters, m, v, ema, gradient_norm, learning_rate;

  static constexpr const char* kKind = "adam_ema";
  template <typename Memory>
  auto args(Memory&& memory) const {
    return AdamEmaArgs<MasterType<Memory>>{.step = memory.read("step", step),
                                           .gradients = memory.read("gradients", gradients),
                                           .parameters = memory.update("parameters", parameters),
                                           .m = memory.update("m", m),
                                           .v = memory.update("v", v),
                                           .ema = memory.update("ema", ema),
                                           .gradient_norm = memory.write("gradient_norm", gradient_norm),
                                           .learning_rate = memory.write("learning_rate", learning_rate),
                                           .compute_weights = memory.compute_weights()};
  }
  Cost cost(int /*element_bytes*/) const { return ddpm::cost(params, sizeof(float)); }
  ErrorGrowth error_growth(BufferId /*result*/) const {
    // The gradient's norm is in the factor of all the others.
    return growth_of_sum(double(params.count) + kFewTerms, 0);
  }
  template <typename T>
  void compute(const AdamEmaArgs<T>& args) const {
    reference::adam_ema<T>(params, args);
  }
  size_t scratch_bytes() const { return cuda::adam_ema_scratch_bytes(params); }
  template <typename T>
  void launch(const AdamEmaArgs<float>& args, const LaunchOn& on) const {
    cuda::adam_ema(params, args, args.compute_weights, on.scratch, on.stream);
  }
};

// All gradients of parameters become zero.
struct ZeroGradients {
  int64_t count;
  BufferId gradients;

  static constexpr const char* kKind = "zero_gradients";
  template <typename Memory>
  auto args(Memory&& m) const {
    return ZeroArgs<MasterType<Memory>>{.array = m.write("gradients", gradients)};
  }
  Cost cost(int /*element_bytes*/) const { return {}; }
  ErrorGrowth error_growth(BufferId /*result*/) const { return kExact; }
  template <typename T>
  void compute(const ZeroArgs<T>& args) const {
    std::fill_n(args.array, count, T{0});
  }
  template <typename T>
  void launch(const ZeroArgs<float>& args, const LaunchOn& on) const {
    fill_bytes(DeviceSpan<float>(args.array, static_cast<size_t>(count)), 0, on.stream);
  }
};

}  // namespace ddpm
