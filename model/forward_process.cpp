#include "model/forward_process.h"

#include "kernels/random.h"
#include "model/sampler.h"

namespace ddpm {

std::vector<Image> forward_process(const ImageView& image, const NoiseSchedule& schedule,
                                   std::span<const int> timesteps, uint64_t seed, uint64_t number) {
  const Image clean = copy(image);
  const RandomKey key = random_key(seed, RandomStream::kNoise);
  std::vector<Image> result;
  for (const int t : timesteps) {
    const double signal = schedule.signal().at(static_cast<size_t>(t)),
                 noise = schedule.noise_level().at(static_cast<size_t>(t));
    std::vector<float> x(clean.pixels.size());
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<float>(signal * (clean.pixels[i] / 127.5 - 1) + noise * normal(key, number, i));
    result.push_back(to_images(x, clean.height, clean.width, clean.channels).front());
  }
  return result;
}

}  // namespace ddpm
