// Gradient clipping, Adam(W) and the EMA: the formulas of kernels/adam_ema.h, one parameter at a time.
#include <algorithm>
#include <cmath>

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {

template <typename T>
void adam_ema(const AdamEmaShape& shape, const AdamEmaArgs<T>& args) {
  const int64_t k = *args.step;

  double squares = 0;
  for (int64_t i = 0; i < shape.count; ++i) squares += double(args.gradients[i]) * args.gradients[i];
  const double norm = std::sqrt(squares);
  const double clip = shape.clip_norm > 0 ? std::min(1.0, shape.clip_norm / (norm + 1e-6)) : 1;

  const double warmup =
      shape.warmup_steps > 0 ? std::min(1.0, double(k + 1) / double(shape.warmup_steps)) : 1;
  const double lr = shape.learning_rate * warmup;
  const double first_correction = 1 - std::pow(shape.beta1, double(k + 1));
  const double second_correction = 1 - std::pow(shape.beta2, double(k + 1));
  const double decay =
      shape.ema_ramp ? std::min(shape.ema_decay, double(1 + k) / double(10 + k)) : shape.ema_decay;

  parallel_for(shape.count, [&](int64_t i) {
    const double g = clip * args.gradients[i];
    const double m = shape.beta1 * args.m[i] + (1 - shape.beta1) * g;
    const double v = shape.beta2 * args.v[i] + (1 - shape.beta2) * g * g;
    const double mhat = m / first_correction;
    const double vhat = v / second_correction;
    double w = args.parameters[i];
    w -= lr * shape.weight_decay * w;
    w -= lr * mhat / (std::sqrt(vhat) + shape.eps);
    args.m[i] = T(m);
    args.v[i] = T(v);
    args.parameters[i] = T(w);
    args.ema[i] = T(decay * args.ema[i] + (1 - decay) * w);
  });
  *args.gradient_norm = T(norm);
  *args.learning_rate = T(lr);
}

template void adam_ema(const AdamEmaShape&, const AdamEmaArgs<float>&);
template void adam_ema(const AdamEmaShape&, const AdamEmaArgs<double>&);

}  // namespace ddpm::reference
