// Where a library says what its caller may want to print: libraries never print themselves.
#pragma once

#include <functional>
#include <string>

namespace ddpm {

// Takes one line without its end. Empty: nobody listens.
using LogLine = std::function<void(const std::string& line)>;

}  // namespace ddpm
