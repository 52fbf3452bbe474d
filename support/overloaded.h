// Combines function objects into one overload set, for std::visit.
#pragma once

namespace ddpm {

// No two parts may take the same type, except that non-templates win over templates.
template <typename... Parts>
struct Overloaded : Parts... {
  using Parts::operator()...;
};
template <typename... Parts>
Overloaded(Parts...) -> Overloaded<Parts...>;

}  // namespace ddpm
