// How library code reports progress: it never prints, its caller may.
#pragma once

#include <functional>
#include <string>

namespace ddpm {

// Receives one line without a newline; empty if nobody listens.
using LogLine = std::function<void(const std::string& line)>;

}  // namespace ddpm
