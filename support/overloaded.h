// Several function objects as one, for std::visit.
#pragma once

namespace ddpm {

// The parts must not take the same type, but for templates, which the others win over.
template <typename... Parts>
struct Overloaded : Parts... {
  using Parts::operator()...;
};
template <typename... Parts>
Overloaded(Parts...) -> Overloaded<Parts...>;

}  // namespace ddpm
