// Both ends of a training step: x_t = a x0 + s eps, and the squared error of the model output.
//
// Parallel over images: an image's random numbers depend only on its position in the run, and its loss is a
// single sum, in double. The loss draws the noise again from the counters that `diffuse` used.
#include <vector>

#include "kernels/reference/noise.h"
#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

// Random draws of one image, except its noise.
struct Sample {
  uint64_t position;  // in the run's stream of images
  int64_t index;      // in the data set
  int64_t row;        // in the memory that images are read from
  bool flip;
};

Sample sample_of(const DiffusionParams& params, int64_t step, int64_t image) {
  const uint64_t position = uint64_t(step) * uint64_t(params.n) + uint64_t(image);
  const int64_t index = image_of_batch(params.seed, params.n, params.dataset_count, step, int(image));
  const uint32_t coin = random_bits(random_key(params.seed, RandomStream::kFlip), position);
  return {.position = position,
          .index = index,
          .row = params.rows == DatasetRows::kEveryImage ? index : image,
          .flip = params.horizontal_flip && bernoulli(coin, 0.5F)};
}

int timestep_of(const DiffusionParams& params, uint64_t position) {
  const RandomKey key = random_key(params.seed, RandomStream::kTimestep);
  const auto draw = [&](uint64_t at) {
    return int(uniform_below(random_bits(key, at), uint32_t(params.timesteps)));
  };
  if (params.draw == TimestepDraw::kUniform) return draw(position);
  const int t = draw(position - position % 2);
  return position % 2 == 0 ? t : params.timesteps - 1 - t;
}

// x0 (H,W,C) in [-1, 1].
template <typename T>
void load_image(const DiffusionParams& params, const uint8_t* dataset, const Sample& sample, T* x0) {
  const uint8_t* image = dataset + sample.row * params.image_elements();
  for (int i = 0; i < params.h; ++i) {
    for (int j = 0; j < params.w; ++j) {
      const int column = sample.flip ? params.w - 1 - j : j;
      const uint8_t* pixel = image + (int64_t{i} * params.w + column) * params.c;
      for (int c = 0; c < params.c; ++c) *x0++ = T(pixel[c]) / T(127.5) - 1;
    }
  }
}

template <typename T>
void load_noise(const DiffusionParams& params, const Sample& sample, T* eps) {
  fill_normal(random_key(params.seed, RandomStream::kNoise), sample.position, params.image_elements(), eps);
}

// The training target (H,W,C): what the model output should be.
template <typename T>
std::vector<T> target_of(const DiffusionParams& params, const LossArgs<T>& args, const Sample& sample,
                         int t) {
  std::vector<T> target(params.image_elements());
  if (params.prediction == Prediction::kEpsilon) {
    load_noise(params, sample, target.data());
    return target;
  }
  load_image(params, args.dataset, sample, target.data());
  if (params.prediction == Prediction::kSample) return target;
  std::vector<T> eps(params.image_elements());
  load_noise(params, sample, eps.data());
  for (size_t e = 0; e < target.size(); ++e) target[e] = args.signal[t] * eps[e] - args.noise[t] * target[e];
  return target;
}

}  // namespace

template <typename T>
void diffuse(const DiffusionParams& params, const DiffuseArgs<T>& args) {
  parallel_for(params.n, [&](int64_t n) {
    const Sample sample = sample_of(params, *args.step, n);
    const int t = timestep_of(params, sample.position);
    const int64_t elements = params.image_elements();
    T* x = args.x_t + n * elements;
    std::vector<T> eps(elements);
    load_image(params, args.dataset, sample, x);
    load_noise(params, sample, eps.data());
    for (int64_t e = 0; e < elements; ++e) x[e] = args.signal[t] * x[e] + args.noise[t] * eps[e];
    args.t[n] = T(t);
    if (args.index != nullptr) args.index[n] = sample.index;
  });
}

template <typename T>
void loss(const DiffusionParams& params, const LossArgs<T>& args) {
  parallel_for(params.n, [&](int64_t n) {
    const int64_t elements = params.image_elements();
    const int t = int(args.t[n]);
    const std::vector<T> target = target_of(params, args, sample_of(params, *args.step, n), t);
    const T* prediction = args.prediction + n * elements;
    T* dprediction = args.dprediction + n * elements;

    const double reduction = params.reduction == LossReduction::kMean ? 1.0 / double(elements) : 1.0;
    const double weight = reduction * (args.weight != nullptr ? double(args.weight[t]) : 1.0);
    const T gradient = T(2 * weight / params.n);
    double sum = 0;
    for (int64_t e = 0; e < elements; ++e) {
      const T error = prediction[e] - target[e];
      dprediction[e] = gradient * error;
      sum += double(error) * double(error);
    }
    args.image_loss[n] = T(weight * sum);
  });
}

template void diffuse(const DiffusionParams&, const DiffuseArgs<float>&);
template void diffuse(const DiffusionParams&, const DiffuseArgs<double>&);
template void loss(const DiffusionParams&, const LossArgs<float>&);
template void loss(const DiffusionParams&, const LossArgs<double>&);

}  // namespace ddpm::reference
