// Gradient clipping, Adam(W) and the EMA in one pass over the parameters (kernels/adam_ema.h).
//
// Parallel over fixed-size blocks of parameters. Each block sums its squared gradients in double and the
// block sums are added in order, so the norm has the same bits for any number of threads. Factors shared by
// all parameters are computed once, in double.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "support/parallel.h"

namespace ddpm::cpu {
namespace {

constexpr int64_t kBlock = 16384;  // parameters: 64 KB per array, enough to hide the scheduling cost

int64_t blocks(int64_t count) { return (count + kBlock - 1) / kBlock; }

double norm_of(int64_t count, const float* values) {
  std::vector<double> squares(blocks(count));
  parallel_for(blocks(count), [&](int64_t block) {
    // Four independent sums: one alone would serialize on the latency of an addition.
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

// Factors at step k, shared by all parameters.
struct Factors {
  float clip;
  float decay;  // lr_k * weight_decay
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float step_size;          // lr_k / (1 - beta1^(k+1))
  float second_correction;  // 1 / (1 - beta2^(k+1))
  float eps;
  float ema, one_minus_ema;
};

double learning_rate_of(const AdamParams& params, int64_t k) {
  if (params.warmup_steps == 0) return params.learning_rate;
  return params.learning_rate * std::min(1.0, double(k + 1) / double(params.warmup_steps));
}

double clip_factor(const AdamParams& params, double norm) {
  return params.clip_norm > 0 ? std::min(1.0, params.clip_norm / (norm + 1e-6)) : 1.0;
}

Factors factors_of(const AdamParams& params, int64_t k, double norm) {
  const double rate = learning_rate_of(params, k);
  const double steps = double(k + 1);
  const double ema =
      params.ema_ramp ? std::min(params.ema_decay, double(1 + k) / double(10 + k)) : params.ema_decay;
  return {.clip = float(clip_factor(params, norm)),
          .decay = float(rate * params.weight_decay),
          .beta1 = float(params.beta1),
          .one_minus_beta1 = float(1 - params.beta1),
          .beta2 = float(params.beta2),
          .one_minus_beta2 = float(1 - params.beta2),
          .step_size = float(rate / (1 - std::pow(params.beta1, steps))),
          .second_correction = float(1 / (1 - std::pow(params.beta2, steps))),
          .eps = float(params.eps),
          .ema = float(ema),
          .one_minus_ema = float(1 - ema)};
}

void update(const Factors& f, int64_t count, const float* __restrict gradients, float* __restrict parameters,
            float* __restrict first, float* __restrict second, float* __restrict ema) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = f.clip * gradients[i];
    const float m = f.beta1 * first[i] + f.one_minus_beta1 * g;
    const float v = f.beta2 * second[i] + f.one_minus_beta2 * g * g;
    float w = parameters[i];
    w -= f.decay * w;
    w -= f.step_size * m / (std::sqrt(f.second_correction * v) + f.eps);
    first[i] = m;
    second[i] = v;
    parameters[i] = w;
    ema[i] = f.ema * ema[i] + f.one_minus_ema * w;
  }
}

}  // namespace

void adam_ema(const AdamParams& params, const AdamEmaArgs<float>& args) {
  const int64_t k = *args.step;
  const double norm = norm_of(params.count, args.gradients);
  const Factors factors = factors_of(params, k, norm);
  parallel_for(blocks(params.count), [&](int64_t block) {
    const int64_t begin = block * kBlock;
    update(factors, std::min(kBlock, params.count - begin), args.gradients + begin, args.parameters + begin,
           args.m + begin, args.v + begin, args.ema + begin);
  });
  *args.gradient_norm = float(norm);
  *args.learning_rate = float(learning_rate_of(params, k));
}

}  // namespace ddpm::cpu
