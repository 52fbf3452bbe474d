// Where an executor's time went, as a table. Depends on runtime/executor.h.
#pragma once

#include "runtime/executor.h"

namespace ddpm {

// Prints to standard error, by kind of operation and slowest first: runs, milliseconds, share, GFLOP/s, GB/s.
// Executor::measure_operations must have been called.
void print_operation_profile(const Executor& executor);

}  // namespace ddpm
