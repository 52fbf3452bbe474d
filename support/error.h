// How this project reports errors: library code throws and never prints or exits; an app's main() turns an
// InputError into one line on standard error and exit code 2 (apps/app.h).
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "support/error_types.h"

namespace ddpm {

template <typename... Args>
[[noreturn]] void throw_input(fmt::format_string<Args...> format, Args&&... args) {
  throw InputError(fmt::format(format, std::forward<Args>(args)...));
}

[[noreturn]] inline void throw_logic(const char* expression, const char* file, int line) {
  throw LogicError(fmt::format("{}:{}: this does not hold: {}", file, line, expression));
}

}  // namespace ddpm

// Checks a precondition or an invariant of our own code; evaluated once, in every build.
#define DDPM_CHECK(expression) \
  (static_cast<bool>(expression) ? void() : ::ddpm::throw_logic(#expression, __FILE__, __LINE__))
