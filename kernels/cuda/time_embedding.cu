// The time embedding: a sine and a cosine for each image and frequency.
#include <cmath>

#include "device/launch.h"
#include "kernels/cuda/kernels.h"

namespace ddpm::cuda {
namespace {

constexpr int kThreads = 128;

// The parameters that the kernel needs.
struct Layout {
  int n;
  int channels;
  int sine;  // the first column of each half
  int cosine;
  bool log_time;
  double log_step;  // f[i] = exp(log_step i): sinusoidal only
};

// Math: kernels/time_embedding.h.
// Threads: one per (image, frequency). The angle is computed in double: it reaches 1000 radians, where
// float's spacing is 6e-5; for a few thousand elements that is cheap.
// Shared: none.
// Traffic: y once.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    time_embedding_kernel(Layout layout, const float* __restrict__ t, const float* __restrict__ frequencies,
                          T* __restrict__ y) {
  const int half = layout.channels / 2;
  const int columns = layout.channels - half;  // one more if channels are odd; its column is zero
  const int index = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (index >= layout.n * columns) return;
  const int image = index / columns;
  const int i = index % columns;
  T* row = y + static_cast<int64_t>(image) * layout.channels;
  if (i == half) {
    row[layout.channels - 1] = from_float<T>(0.0f);
    return;
  }
  constexpr double kTwoPi = 6.283185307179586;
  const double time = t[image];
  const double angle = frequencies == nullptr
                           ? time * exp(layout.log_step * i)
                           : kTwoPi * frequencies[i] * (layout.log_time ? log(time) : time);
  row[layout.sine + i] = from_float<T>(static_cast<float>(sin(angle)));
  row[layout.cosine + i] = from_float<T>(static_cast<float>(cos(angle)));
}

}  // namespace

template <typename T>
void time_embedding(const TimeEmbeddingParams& params, const TimeEmbeddingArgs<T, float>& args,
                    StreamView stream) {
  const int half = params.channels / 2;
  const int sine = params.order == TimeEmbeddingOrder::kSinCos ? 0 : half;
  const Layout layout{.n = params.n,
                      .channels = params.channels,
                      .sine = sine,
                      .cosine = half - sine,
                      .log_time = params.log_time,
                      .log_step = -std::log(params.max_period) / (half - params.frequency_shift)};
  launch(time_embedding_kernel<T>,
         {.grid = ceil_div(int64_t{params.n} * (params.channels - half), kThreads),
          .block = kThreads,
          .stream = stream},
         layout, args.t, args.frequencies, args.y);
}

template void time_embedding(const TimeEmbeddingParams&, const TimeEmbeddingArgs<float, float>&, StreamView);
template void time_embedding(const TimeEmbeddingParams&, const TimeEmbeddingArgs<BFloat16, float>&,
                             StreamView);

}  // namespace ddpm::cuda
