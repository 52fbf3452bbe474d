// What every program of this project shares: its main function, checks and log.
#pragma once

#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {

// Runs `body`, an int(), and turns exceptions into one sentence on standard error and an exit code: 2 for an
// InputError, else 1. Standard output is flushed after each line, to files and pipes too, so that it is
// complete if the program is killed.
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

// InputError if the file could not be written, checked before hours of work. An empty path stands for
// no file.
inline void check_can_write(const std::filesystem::path& path) {
  if (!path.empty()) AtomicFile(path).write("");  // not committed, so nothing is left
}

// A LogLine.
inline void log_to_stderr(const std::string& line) { fmt::print(stderr, "{}\n", line); }

}  // namespace ddpm
