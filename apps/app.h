// How every program of this project ends, and says what a library wants said. Depends on support/error.h.
#pragma once

#include <cstdio>
#include <exception>
#include <string>

#include "support/error.h"

namespace ddpm {

// Runs `body`, an int(), and turns what it throws into one sentence on standard error and an exit code: 2
// where the user's input is at fault, 1 for everything else.
template <typename Body>
int run_app(const char* name, const Body& body) {
  try {
    return body();
  } catch (const InputError& error) {
    fmt::print(stderr, "{}: {}\n", name, error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", name, error.what());
    return 1;
  }
}

// A LogLine.
inline void log_to_stderr(const std::string& line) { fmt::print(stderr, "{}\n", line); }

}  // namespace ddpm
