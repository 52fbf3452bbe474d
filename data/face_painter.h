// Draws a synthetic face from its parameters.
#pragma once

#include "data/canvas.h"
#include "data/face_parameters.h"

namespace ddpm {

// Paints background, shoulders and head. The canvas's origin is the center of the head, its unit a little
// less than the head's height.
void paint_face(Canvas& canvas, const FaceParameters& face);

}  // namespace ddpm
