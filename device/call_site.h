// The caller's file and line: std::source_location for compilers that lack it (clang-tidy 14
// with GCC's library).
#pragma once

namespace ddpm {

// As a default argument `CallSite site = CallSite::current()` it captures the caller's line.
struct CallSite {
  const char* file;
  int line;

  static constexpr CallSite current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

}  // namespace ddpm
