// Where an executor's time went, as tables. Depends on runtime/{device,executor}.h.
#pragma once

#include "runtime/device.h"
#include "runtime/executor.h"

namespace ddpm {

// Prints to standard error the time of each kind of operation and of the slowest single ones, slowest first:
// runs, milliseconds, share of the whole, GFLOP/s, GB/s, and where the device's peak is known, how much of
// the time is the floor that peak and ideal traffic set. Executor::measure_operations must have been called.
void print_operation_profile(const Executor& executor, const DevicePeak& peak);

}  // namespace ddpm
