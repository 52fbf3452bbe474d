// Embeds the diffusion time as a vector.
#pragma once

#include <cstdint>

#include "kernels/operation.h"

namespace ddpm {

enum class TimeEmbeddingOrder : uint8_t {
  kSinCos,  // [sin | cos]: Ho et al. 2020
  kCosSin,  // [cos | sin]: diffusers' flip_sin_to_cos, OpenAI's models
};

// Sinusoidal: half = channels/2, f[i] = exp(-ln(max_period) i / (half - frequency_shift)),
//   y[n] = [sin(t[n] f), cos(t[n] f)], and one zero column where channels is odd.
// Fourier (Tancik et al. 2020; score-SDE models): a = 2 pi frequencies[i] * (log_time ? ln t[n] : t[n]),
//   y[n] = [sin a, cos a], with frequencies (half) a parameter that is not trained.
struct TimeEmbeddingParams {
  int n = 1;
  int channels = 2;
  TimeEmbeddingOrder order = TimeEmbeddingOrder::kSinCos;
  double frequency_shift = 1;  // 1: Ho et al.; 0: OpenAI
  double max_period = 10000;
  bool log_time = false;  // Fourier only

  bool operator==(const TimeEmbeddingParams&) const = default;
};

// t (N), y (N, channels); frequencies null: sinusoidal. M is the type of times and parameters, T that of
// the activations.
template <typename T, typename M = T>
struct TimeEmbeddingArgs {
  const M* t;
  const M* frequencies;
  T* y;
};

inline Cost cost(const TimeEmbeddingParams& s, int element_bytes) {
  return {20.0 * s.n * s.channels, double(element_bytes) * s.n * (s.channels + 1)};
}

namespace reference {
template <typename T>
void time_embedding(const TimeEmbeddingParams& params, const TimeEmbeddingArgs<T>& args);
}  // namespace reference

// time_embedding.cu. Any number of channels.
namespace cuda {
template <typename T>
void time_embedding(const TimeEmbeddingParams& params, const TimeEmbeddingArgs<T, float>& args,
                    StreamView stream);
}  // namespace cuda

struct TimeEmbedding {
  TimeEmbeddingParams params;
  BufferId t, frequencies = kNoBuffer, y = kNoBuffer;

  static constexpr const char* kKind = "time_embedding";
  template <typename Memory>
  auto args(Memory&& m) const {
    return TimeEmbeddingArgs<ComputeType<Memory>, MasterType<Memory>>{
        .t = m.read("t", t), .frequencies = m.read("frequencies", frequencies), .y = m.write("y", y)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(params, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const {
    // A sine errs by the relative error of its angle times the angle, which reaches thousands of radians.
    return {.terms = 1, .amplification = 2048};
  }
  template <typename T>
  void compute(const TimeEmbeddingArgs<T>& args) const {
    reference::time_embedding<T>(params, args);
  }
  template <typename T>
  void launch(const TimeEmbeddingArgs<T, float>& args, const LaunchOn& on) const {
    cuda::time_embedding<T>(params, args, on.stream);
  }
};

}  // namespace ddpm
