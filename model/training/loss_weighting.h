// The weight of each timestep in the training loss.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/diffusion.h"
#include "model/sampling/noise_schedule.h"

namespace ddpm {

enum class LossWeighting : uint8_t {
  kNone,    // "none": equal weights, Ho et al. 2020, equation 14
  kMinSnr,  // "min_snr": Hang et al. 2023
};

// weight[t] of the squared error in what the network predicts. Min-SNR weights the error in x_0 by min(SNR,
// gamma), SNR = (signal / noise)^2; the error in eps is SNR times that in x_0, the error in v SNR + 1
// times: Hang et al. 2023, section 3.4. At a timestep without signal the weight for eps is its limit, 1.
// Empty for kNone.
std::vector<double> loss_weights(LossWeighting weighting, double gamma, const NoiseSchedule& schedule,
                                 Prediction prediction);

}  // namespace ddpm
