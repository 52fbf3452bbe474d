// An executor's profile, as tables and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/device.h"
#include "runtime/executor.h"

namespace ddpm {

// The time of each kind of operation and of the slowest single operations, slowest first: runs,
// milliseconds, share of the total, GFLOP/s, GB/s, and, if the device's peak is known, the share of the time
// that peak and ideal traffic require. For operations in a graph, the graph's times and nodes come first.
// Requires Executor::measure_operations.
std::string operation_profile_text(const Executor& executor, const DevicePeak& peak);

// The same numbers for every operation and graph; docs/profiling.md lists the keys.
nlohmann::ordered_json operation_profile_json(const Executor& executor, const DevicePeak& peak);

}  // namespace ddpm
