// Pictures of images on their way into noise. The schedule itself is model/sampling/noise_schedule.h;
// training's own noising is `diffuse`, kernels/diffusion.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"
#include "model/sampling/noise_schedule.h"

namespace ddpm {

// The image at each of the timesteps, all with the same noise: x_t = sqrt(alpha_bar) x_0 + sqrt(1 -
// alpha_bar) eps (Ho et al. 2020, equation 4), clipped to what can be shown. `number` chooses the noise, with
// the seed.
std::vector<Image> forward_process(const ImageView& image, const NoiseSchedule& schedule,
                                   std::span<const int> timesteps, uint64_t seed, uint64_t number);

struct ForwardProcessStrip {
  int moments = 11;  // columns: the clean image, then timesteps evenly up to the last one
  uint64_t seed = 0;
};

// One row an image, time from left to right.
Image forward_process_strip(std::span<const ImageView> images, const NoiseSchedule& schedule,
                            const ForwardProcessStrip& options = {});

}  // namespace ddpm
