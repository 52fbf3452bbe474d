// The age of this process.
#pragma once

namespace ddpm {

// Seconds since the system started this process, which is before main(): loading shared libraries counts.
// Accurate to 0.01 s.
double process_age_seconds();

}  // namespace ddpm
