// How long this process has been there.
#pragma once

namespace ddpm {

// Seconds since the system started this process, which is before main(): shared libraries are loaded first.
// To a hundredth of a second.
double process_age_seconds();

}  // namespace ddpm
