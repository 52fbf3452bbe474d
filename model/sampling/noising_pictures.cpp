#include "model/sampling/noising_pictures.h"

#include "data/grid.h"
#include "kernels/random.h"
#include "model/sampling/sampler.h"

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

Image forward_process_strip(std::span<const ImageView> images, const NoiseSchedule& schedule,
                            const ForwardProcessStrip& options) {
  std::vector<int> timesteps;
  const int last = options.frames - 1;
  for (int frame = 1; frame <= last; ++frame) timesteps.push_back((schedule.timesteps() * frame - 1) / last);
  std::vector<Image> cells;
  for (size_t row = 0; row < images.size(); ++row) {
    cells.push_back(copy(images[row]));
    for (Image& noisy : forward_process(images[row], schedule, timesteps, options.seed, row))
      cells.push_back(std::move(noisy));
  }
  return make_grid(cells, {.columns = options.frames});
}

}  // namespace ddpm
