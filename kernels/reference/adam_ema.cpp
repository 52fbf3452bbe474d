// Clipping, Adam(W) and the moving average, in the order of the formulas of kernels/adam_ema.h.
//
// Parallel over fixed blocks of parameters. The squared norm is summed in double within each block, and the
// blocks' sums are then added in order: the same bits whatever the number of threads. The factors that hold
// for all parameters are computed once, in double.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

constexpr int64_t kBlock = 16384;  // parameters: 64 KB of each array, large beside the cost of handing it out

int64_t blocks(int64_t count) { return (count + kBlock - 1) / kBlock; }

template <typename T>
double norm_of(int64_t count, const T* values) {
  std::vector<double> squares(blocks(count));
  parallel_for(blocks(count), [&](int64_t block) {
    // Four sums side by side, or each addition would wait for the one before.
    double sum[4] = {};
    const int64_t end = std::min(count, (block + 1) * kBlock);
    int64_t i = block * kBlock;
    for (; i + 4 <= end; i += 4)
      for (int l = 0; l < 4; ++l) sum[l] += double(values[i + l]) * double(values[i + l]);
    for (int l = 0; i < end; ++i, ++l) sum[l] += double(values[i]) * double(values[i]);
    squares[block] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  });
  double sum = 0;
  for (const double square : squares) sum += square;
  return std::sqrt(sum);
}

// What the formulas need at step k, the same for all parameters.
template <typename T>
struct Factors {
  T clip;
  T decay;  // lr_k * weight_decay
  T beta1, one_minus_beta1;
  T beta2, one_minus_beta2;
  T step_size;          // lr_k / (1 - beta1^(k+1))
  T second_correction;  // 1 / (1 - beta2^(k+1))
  T eps;
  T ema, one_minus_ema;
};

double learning_rate_of(const AdamParams& params, int64_t k) {
  if (params.warmup_steps == 0) return params.learning_rate;
  return params.learning_rate * std::min(1.0, double(k + 1) / double(params.warmup_steps));
}

double clip_factor(const AdamParams& params, double norm) {
  return params.clip_norm > 0 ? std::min(1.0, params.clip_norm / (norm + 1e-6)) : 1.0;
}

template <typename T>
Factors<T> factors_of(const AdamParams& params, int64_t k, double norm) {
  const double rate = learning_rate_of(params, k);
  const double steps = double(k + 1);
  const double ema =
      params.ema_ramp ? std::min(params.ema_decay, double(1 + k) / double(10 + k)) : params.ema_decay;
  return {.clip = T(clip_factor(params, norm)),
          .decay = T(rate * params.weight_decay),
          .beta1 = T(params.beta1),
          .one_minus_beta1 = T(1 - params.beta1),
          .beta2 = T(params.beta2),
          .one_minus_beta2 = T(1 - params.beta2),
          .step_size = T(rate / (1 - std::pow(params.beta1, steps))),
          .second_correction = T(1 / (1 - std::pow(params.beta2, steps))),
          .eps = T(params.eps),
          .ema = T(ema),
          .one_minus_ema = T(1 - ema)};
}

template <typename T>
void update(const Factors<T>& f, int64_t count, const T* __restrict gradients, T* __restrict parameters,
            T* __restrict first, T* __restrict second, T* __restrict ema) {
  for (int64_t i = 0; i < count; ++i) {
    const T g = f.clip * gradients[i];
    const T m = f.beta1 * first[i] + f.one_minus_beta1 * g;
    const T v = f.beta2 * second[i] + f.one_minus_beta2 * g * g;
    T w = parameters[i];
    w -= f.decay * w;
    w -= f.step_size * m / (std::sqrt(f.second_correction * v) + f.eps);
    first[i] = m;
    second[i] = v;
    parameters[i] = w;
    ema[i] = f.ema * ema[i] + f.one_minus_ema * w;
  }
}

}  // namespace

template <typename T>
void adam_ema(const AdamParams& params, const AdamEmaArgs<T>& args) {
  const int64_t k = *args.step;
  const double norm = norm_of(params.count, args.gradients);
  const Factors<T> factors = factors_of<T>(params, k, norm);
  parallel_for(blocks(params.count), [&](int64_t block) {
    const int64_t begin = block * kBlock;
    update(factors, std::min(kBlock, params.count - begin), args.gradients + begin, args.parameters + begin,
           args.m + begin, args.v + begin, args.ema + begin);
  });
  *args.gradient_norm = T(norm);
  *args.learning_rate = T(learning_rate_of(params, k));
}

template void adam_ema(const AdamParams&, const AdamEmaArgs<float>&);
template void adam_ema(const AdamParams&, const AdamEmaArgs<double>&);

}  // namespace ddpm::reference
