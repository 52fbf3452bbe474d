// Where an executor's time went, as tables and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/device.h"
#include "runtime/executor.h"

namespace ddpm {

// As text the time of each kind of operation and of the slowest single ones, slowest first: runs,
// milliseconds, share of the whole, GFLOP/s, GB/s, and where the device's peak is known, how much of the time
// is the floor that peak and ideal traffic set. Where the operations ran in a graph, its times and nodes come
// before. Executor::measure_operations must have been called.
std::string operation_profile_text(const Executor& executor, const DevicePeak& peak);

// The same numbers of every operation and graph: docs/profiling.md tells the keys.
nlohmann::ordered_json operation_profile_json(const Executor& executor, const DevicePeak& peak);

}  // namespace ddpm
