// Images on their way into noise, to look at. Depends on model/noise_schedule.h, data/image.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"
#include "model/noise_schedule.h"

namespace ddpm {

// The image at each of the timesteps, with the same noise all along: x_t = sqrt(alpha_bar) x_0 + sqrt(1 -
// alpha_bar) epsilon (Ho et al. 2020, equation 4). `number` chooses the noise, together with the seed.
std::vector<Image> forward_process(const ImageView& image, const NoiseSchedule& schedule,
                                   std::span<const int> timesteps, uint64_t seed, uint64_t number);

}  // namespace ddpm
