// Every form in which ddpm_sample writes its images.
#pragma once

#include <string>

#include "apps/image_drawer.h"
#include "apps/sampling_command.h"

namespace ddpm {

// Draws the images and writes every output of the command; prints the names of the files. `record` describes
// how the images were made; it is written beside --npz. Returns the seconds that drawing took.
double write_outputs(const SamplingCommand& command, const UnetConfig& network, const std::string& record,
                     ImageDrawer& drawer);

}  // namespace ddpm
