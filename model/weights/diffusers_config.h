// The configuration files of a diffusers pipeline and their meaning here: UNet2DModel's config.json, the
// scheduler's scheduler_config.json and model_index.json. Keys and defaults are those of diffusers 0.35.
#pragma once

#include <string>
#include <string_view>

#include "model/sampling/noise_schedule.h"
#include "model/sampling/sampler_table.h"
#include "model/unet/unet.h"

namespace ddpm {

struct DiffusersUnet {
  UnetConfig network;
  double dropout = 0;
};

struct DiffusersScheduler {
  NoiseScheduleOptions schedule;
  SamplerOptions sampler;  // as the scheduler's own class samples; steps as its pipeline does by default
};

// `where` names the file in errors. InputError naming key and value for everything that is not supported
// here, unknown keys included; the network's configuration is validated.
DiffusersUnet parse_unet_config(std::string_view json, const std::string& where);
DiffusersScheduler parse_scheduler_config(std::string_view json, const std::string& where);

// The text of the files. InputError if diffusers has no key for something that the network does.
std::string unet_config_json(const DiffusersUnet& unet);
// Always a DDPMScheduler's: DDIMScheduler.from_config and its like accept it.
std::string scheduler_config_json(const DiffusersScheduler& scheduler);
// Of a DDPMPipeline.
std::string model_index_json();

}  // namespace ddpm
