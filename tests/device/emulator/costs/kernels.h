// Kernels that do one thing many times, to measure what the emulator takes for it.
#pragma once

#include "device/stream.h"

namespace ddpm::costs {

inline constexpr int kThreads = 256;
inline constexpr int kRepetitions = 100;

// One block of kThreads threads that does nothing, or kRepetitions barriers, or kRepetitions full-warp
// shuffles.
void threads(StreamView stream);
void barriers(StreamView stream);
void shuffles(float* out, StreamView stream);

}  // namespace ddpm::costs
