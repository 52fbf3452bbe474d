// Every form in which ddpm_sample writes its images.
#pragma once

#include <string>

#include "apps/image_drawer.h"
#include "apps/image_stream.h"
#include "apps/sampling_command.h"

namespace ddpm {

// Draws what the stream has to draw and writes all that the command wants, its images shaped as `network`'s.
// `record` says what makes the images what they are; it goes beside the array. Prints the names of the files.
// Returns the seconds that the drawing took.
double write_outputs(const SamplingCommand& command, const UnetConfig& network, const std::string& record,
                     ImageStream& stream, ImageDrawer& drawer);

}  // namespace ddpm
