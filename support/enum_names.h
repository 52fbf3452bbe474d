// Enums by name, for configuration files and command lines: one table per enum serves both directions.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "support/error.h"

namespace ddpm {

template <typename Enum>
struct EnumName {
  Enum value;
  std::string_view name;
};

template <typename Enum, size_t N>
std::string_view enum_name(const EnumName<Enum> (&table)[N], Enum value) {
  const auto* entry = std::find_if(table, table + N, [&](const auto& e) { return e.value == value; });
  DDPM_CHECK(entry != table + N);
  return entry->name;
}

// The value with this name; otherwise an InputError that lists the names. `what` is the kind of thing the
// enum selects, e.g. "sampler".
template <typename Enum, size_t N>
Enum parse_enum(const EnumName<Enum> (&table)[N], std::string_view what, std::string_view name) {
  const auto* entry = std::find_if(table, table + N, [&](const auto& e) { return e.name == name; });
  if (entry != table + N) return entry->value;
  std::string names;
  for (const auto& e : table) names += (names.empty() ? "" : ", ") + std::string(e.name);
  throw_input("there is no {} '{}': choose one of {}", what, name, names);
}

}  // namespace ddpm
