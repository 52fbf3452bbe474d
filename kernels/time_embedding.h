// The embedding of the diffusion time as a vector: its shape, arguments and cost. Implementation:
// kernels/reference/time_embedding.cpp.
#pragma once

#include <cstdint>

#include "kernels/cost.h"

namespace ddpm {

enum class TimeEmbeddingOrder : uint8_t {
  kSinCos,  // [sin | cos]: Ho et al. 2020
  kCosSin,  // [cos | sin]: diffusers' flip_sin_to_cos, OpenAI's models
};

// Sinusoidal: half = channels/2, f[i] = exp(-ln(max_period) i / (half - frequency_shift)),
//   y[n] = [sin(t[n] f), cos(t[n] f)], and one zero column where channels is odd.
// Fourier (Tancik et al. 2020; score-SDE models): a = 2 pi frequencies[i] * (log_time ? ln t[n] : t[n]),
//   y[n] = [sin a, cos a], with frequencies (half) a parameter that is not trained.
struct TimeEmbeddingShape {
  int n = 1;
  int channels = 2;
  TimeEmbeddingOrder order = TimeEmbeddingOrder::kSinCos;
  double frequency_shift = 1;  // 1: Ho et al.; 0: OpenAI
  double max_period = 10000;
  bool log_time = false;  // Fourier only

  bool operator==(const TimeEmbeddingShape&) const = default;
};

// t (N), y (N, channels); frequencies null: sinusoidal. M is the type of times and parameters, T of
// activations.
template <typename T, typename M = T>
struct TimeEmbeddingArgs {
  const M* t;
  const M* frequencies;
  T* y;
};

inline Cost cost(const TimeEmbeddingShape& s, int element_bytes) {
  return {20.0 * s.n * s.channels, double(element_bytes) * s.n * (s.channels + 1)};
}

}  // namespace ddpm
