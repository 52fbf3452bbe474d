// diffusers' UNet2DModel configurations as ours, for the parity tests. Depends on model/unet.h.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "model/unet.h"

namespace ddpm::parity {

// The configuration of a config.json in which every key is given. InputError naming the first key whose value
// model/unet.h cannot express.
UnetConfig unet_config(const nlohmann::json& json);

}  // namespace ddpm::parity
