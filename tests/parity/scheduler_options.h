// Translates a case of the scheduler fixtures into our options.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "model/sampling/noise_schedule.h"
#include "model/sampling/sampler_options.h"

namespace ddpm::parity {

// `config` as diffusers writes it: an absent key has the default of the class.
NoiseScheduleOptions schedule_options(const std::string& class_name, const nlohmann::json& config);

// `test` is an entry of "cases": config and the arguments of set_timesteps() and step().
SamplerOptions sampler_options(const std::string& class_name, const nlohmann::json& test);

}  // namespace ddpm::parity
