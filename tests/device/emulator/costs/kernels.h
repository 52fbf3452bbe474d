// Kernels that do one thing many times, to measure its cost in the emulator.
#pragma once

#include "device/stream.h"

namespace ddpm::costs {

inline constexpr int kThreads = 256;
inline constexpr int kRepetitions = 100;

// One block of kThreads threads: nothing, kRepetitions barriers, or kRepetitions full-warp shuffles.
void threads(StreamView stream);
void barriers(StreamView stream);
void shuffles(float* out, StreamView stream);

}  // namespace ddpm::costs
