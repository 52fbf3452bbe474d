// What --class, --attr and --guidance mean for a model.
#pragma once

#include "apps/sampling_command.h"
#include "model/sampling/sampler.h"

namespace ddpm {

// InputError where the options are not for this kind of model. Without --class the images of a model of
// classes take every class in turn; without --attr nothing is said about them.
Conditioning conditioning_of(const SamplingCommand& command, const TrainConfig& config);

}  // namespace ddpm
