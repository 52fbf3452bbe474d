// How every program of this project begins and ends, and says what a library wants said.
#pragma once

#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {

// Runs `body`, an int(), and turns what it throws into one sentence on standard error and an exit code: 2
// where the user's input is at fault, 1 for everything else. Standard output is written line by line, also
// into a file or a pipe, so that what a killed program did can be read there.
template <typename Body>
int run_app(const char* name, const Body& body) {
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
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

// InputError where a file of that name could not be written: for what is written after hours of work. An
// empty path is no file.
inline void check_can_write(const std::filesystem::path& path) {
  if (!path.empty()) AtomicFile(path).write("");  // not committed, so nothing is left
}

// A LogLine.
inline void log_to_stderr(const std::string& line) { fmt::print(stderr, "{}\n", line); }

}  // namespace ddpm
