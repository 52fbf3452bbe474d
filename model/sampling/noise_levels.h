// The noise levels at which a sampler evaluates the network: those of spaced timesteps, Karras's or
// exponential ones, and EDM's preconditioning.
#pragma once

#include <cmath>
#include <vector>

#include "model/sampling/noise_schedule.h"
#include "model/sampling/sampler_options.h"

namespace ddpm {

// Where x = signal x_0 + noise_level eps; with a network that is not preconditioned (EDM), signal^2 +
// noise_level^2 = 1.
struct NoiseLevel {
  double timestep;  // given to the network; a fraction between two of the schedule's sigmas
  double signal;
  double noise_level;

  double sigma() const { return noise_level / signal; }
  // Half the logarithm of the signal-to-noise ratio: lambda of the DPM-Solver papers.
  double lambda() const { return std::log(signal) - std::log(noise_level); }
};

// The falling timesteps of the spacing. InputError if the schedule does not have them. Quadratic spacing over
// many steps gives fewer: small timesteps repeat in the DDIM paper's code, to no effect. Methods with
// SamplerLevels::kContinuous take fractions of linspace, all others round them.
std::vector<double> sampling_timesteps(const NoiseSchedule& schedule, const SamplerOptions& options);

// The falling noise levels of a method that works with sigmas, one for each step, and the level that the last
// step leads to. If the schedule ends without signal, its alpha_bar is taken as 2^-24, as in diffusers, so
// that sigma is finite.
std::vector<NoiseLevel> sampling_levels(const NoiseSchedule& schedule, const SamplerOptions& options);

}  // namespace ddpm
