// The time embedding: angles, then their sines and cosines, in the order that params sets.
//
// Parallel over images. Angles are computed in double for both types: they reach 1000 radians, where float's
// spacing is 6e-5, and a float product would lose that much of the sine.
#include <cmath>
#include <numbers>

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

template <typename T>
double angle(const TimeEmbeddingParams& params, const T* frequencies, double t, int i) {
  if (frequencies != nullptr)
    return 2 * std::numbers::pi * frequencies[i] * (params.log_time ? std::log(t) : t);
  const int half = params.channels / 2;
  return t * std::exp(-std::log(params.max_period) * i / (half - params.frequency_shift));
}

}  // namespace

template <typename T>
void time_embedding(const TimeEmbeddingParams& params, const TimeEmbeddingArgs<T>& args) {
  const int half = params.channels / 2;
  const int sine = params.order == TimeEmbeddingOrder::kSinCos ? 0 : half;
  const int cosine = half - sine;
  parallel_for(params.n, [&](int64_t n) {
    T* y = args.y + n * params.channels;
    for (int i = 0; i < half; ++i) {
      const double a = angle(params, args.frequencies, double(args.t[n]), i);
      y[sine + i] = T(std::sin(a));
      y[cosine + i] = T(std::cos(a));
    }
    if (params.channels % 2 != 0) y[params.channels - 1] = T{0};
  });
}

template void time_embedding(const TimeEmbeddingParams&, const TimeEmbeddingArgs<float>&);
template void time_embedding(const TimeEmbeddingParams&, const TimeEmbeddingArgs<double>&);

}  // namespace ddpm::reference
