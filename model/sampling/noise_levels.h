// The noise levels at which a sampler asks the network: those of spaced timesteps, Karras's or exponential
// ones, and EDM's preconditioning there.
#pragma once

#include <cmath>
#include <vector>

#include "model/sampling/noise_schedule.h"
#include "model/sampling/sampler_options.h"

namespace ddpm {

// Where x = signal x_0 + noise_level eps; with a network that is not preconditioned (EDM), signal^2 +
// noise_level^2 = 1.
struct NoiseLevel {
  double timestep;  // what the network is told; between two steps of the schedule where sigma is
  double signal;
  double noise_level;

  double sigma() const { return noise_level / signal; }
  // Half the logarithm of the signal-to-noise ratio: lambda of the DPM-Solver papers.
  double lambda() const { return std::log(signal) - std::log(noise_level); }
};

// The falling timesteps that the spacing names. InputError where the schedule has no such timesteps.
// Quadratic spacing asked for many steps gives fewer, since the DDIM paper's code repeats small timesteps, to
// no effect. Euler and Heun take linspace as it falls, all others round it.
std::vector<double> sampling_timesteps(const NoiseSchedule& schedule, const SamplerOptions& options);

// The falling noise levels of a method that works with sigmas, one for each step, and the one that the last
// step leads to. Where the schedule ends without signal, its alpha_bar is taken as 2^-24, as in diffusers, so
// that sigma is finite.
std::vector<NoiseLevel> sampling_levels(const NoiseSchedule& schedule, const SamplerOptions& options);

}  // namespace ddpm
