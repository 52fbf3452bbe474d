#include "apps/sampling_pictures.h"

#include <algorithm>

#include "data/grid.h"
#include "model/sampling/sampler.h"

namespace ddpm {

bool SamplingPictures::wants(int step) const {
  const int shown = static_cast<int>(moments_.size()), last = std::min(options_.moments - 1, options_.steps);
  return options_.images > 0 && shown <= last && step >= options_.steps * shown / last;
}

void SamplingPictures::add(std::span<const float> x) {
  const size_t elements =
      static_cast<size_t>(options_.images) * options_.size * options_.size * options_.channels;
  moments_.push_back(
      to_images(x.first(std::min(elements, x.size())), options_.size, options_.size, options_.channels));
}

Image SamplingPictures::strip() const {
  std::vector<ImageView> views;
  for (size_t row = 0; row < moments_.front().size(); ++row)
    for (const std::vector<Image>& moment : moments_) views.emplace_back(moment[row]);
  return make_grid(views, {.columns = static_cast<int>(moments_.size())});
}

std::vector<Image> SamplingPictures::animation() const {
  std::vector<Image> frames;
  for (const std::vector<Image>& moment : moments_) frames.push_back(make_grid(moment));
  return frames;
}

}  // namespace ddpm
