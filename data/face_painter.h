// Draws a synthetic face from its parameters.
#pragma once

#include "data/canvas.h"
#include "data/face_parameters.h"

namespace ddpm {

// Paints background, shoulders and head on a canvas whose origin is the middle of the head and whose unit is
// somewhat less than the head's height.
void paint_face(Canvas& canvas, const FaceParameters& face);

}  // namespace ddpm
