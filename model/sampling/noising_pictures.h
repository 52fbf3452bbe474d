// Images of the forward process, from clean to noise. Training itself uses `diffuse` (kernels/diffusion.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"
#include "model/sampling/noise_schedule.h"

namespace ddpm {

// The image at each of the timesteps, all with the same noise, clipped to what can be shown:
//   x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps    (Ho et al. 2020, equation 4)
// The seed and `number` choose the noise.
std::vector<Image> forward_process(const ImageView& image, const NoiseSchedule& schedule,
                                   std::span<const int> timesteps, uint64_t seed, uint64_t number);

struct ForwardProcessStrip {
  int frames = 11;  // columns: the clean image, then timesteps evenly up to the last one
  uint64_t seed = 0;
};

// One row per image, time from left to right.
Image forward_process_strip(std::span<const ImageView> images, const NoiseSchedule& schedule,
                            const ForwardProcessStrip& options = {});

}  // namespace ddpm
