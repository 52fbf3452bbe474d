// The time embedding: angles, then their sines and cosines, in the order that the shape sets.
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
double angle(const TimeEmbeddingShape& shape, const T* frequencies, double t, int i) {
  if (frequencies != nullptr)
    return 2 * std::numbers::pi * frequencies[i] * (shape.log_time ? std::log(t) : t);
  const int half = shape.channels / 2;
  return t * std::exp(-std::log(shape.max_period) * i / (half - shape.frequency_shift));
}

}  // namespace

template <typename T>
void time_embedding(const TimeEmbeddingShape& shape, const TimeEmbeddingArgs<T>& args) {
  const int half = shape.channels / 2;
  const int sine = shape.order == TimeEmbeddingOrder::kSinCos ? 0 : half;
  const int cosine = half - sine;
  parallel_for(shape.n, [&](int64_t n) {
    T* y = args.y + n * shape.channels;
    for (int i = 0; i < half; ++i) {
      const double a = angle(shape, args.frequencies, double(args.t[n]), i);
      y[sine + i] = T(std::sin(a));
      y[cosine + i] = T(std::cos(a));
    }
    if (shape.channels % 2 != 0) y[shape.channels - 1] = T{0};
  });
}

template void time_embedding(const TimeEmbeddingShape&, const TimeEmbeddingArgs<float>&);
template void time_embedding(const TimeEmbeddingShape&, const TimeEmbeddingArgs<double>&);

}  // namespace ddpm::reference
