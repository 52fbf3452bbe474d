// Gradient clipping, Adam(W) and the EMA: the formulas of kernels/adam_ema.h, one parameter at a time.
#include <algorithm>
#include <cmath>

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {

template <typename T>
void adam_ema(const AdamParams& params, const AdamEmaArgs<T>& args) {
  const int64_t k = *args.step;

  double squares = 0;
  for (int64_t i = 0; i < params.count; ++i) squares += double(args.gradients[i]) * args.gradients[i];
  const double norm = std::sqrt(squares);
  const double clip = params.clip_norm > 0 ? std::min(1.0, params.clip_norm / (norm + 1e-6)) : 1;

  const double warmup =
      params.warmup_steps > 0 ? std::min(1.0, double(k + 1) / double(params.warmup_steps)) : 1;
  const double lr = params.learning_rate * warmup;
  const double first_correction = 1 - std::pow(params.beta1, double(k + 1));
  const double second_correction = 1 - std::pow(params.beta2, double(k + 1));
  const double decay =
      params.ema_ramp ? std::min(params.ema_decay, double(1 + k) / double(10 + k)) : params.ema_decay;

  parallel_for(params.count, [&](int64_t i) {
    const double g = clip * args.gradients[i];
    const double m = params.beta1 * args.m[i] + (1 - params.beta1) * g;
    const double v = params.beta2 * args.v[i] + (1 - params.beta2) * g * g;
    const double mhat = m / first_correction;
    const double vhat = v / second_correction;
    double w = args.parameters[i];
    w -= lr * params.weight_decay * w;
    w -= lr * mhat / (std::sqrt(vhat) + params.eps);
    args.m[i] = T(m);
    args.v[i] = T(v);
    args.parameters[i] = T(w);
    args.ema[i] = T(decay * args.ema[i] + (1 - decay) * w);
  });
  *args.gradient_norm = T(norm);
  *args.learning_rate = T(lr);
}

template void adam_ema(const AdamParams&, const AdamEmaArgs<float>&);
template void adam_ema(const AdamParams&, const AdamEmaArgs<double>&);

}  // namespace ddpm::reference
