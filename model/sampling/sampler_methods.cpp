#include "model/sampling/sampler_methods.h"

#include <algorithm>

#include "support/error.h"

namespace ddpm {
namespace {

// What `describe` says of each method, separated by commas; empty texts are left out.
template <typename Describe>
std::string join(const Describe& describe) {
  std::string all;
  for (const SamplerTraits& traits : kSamplers) {
    const std::string text = describe(traits);
    if (!text.empty()) all += (all.empty() ? "" : ", ") + text;
  }
  return all;
}

}  // namespace

const SamplerTraits& sampler_traits(SamplerMethod method) {
  const auto* found = std::ranges::find(kSamplers, method, &SamplerTraits::method);
  DDPM_CHECK(found != std::end(kSamplers));
  return *found;
}

std::string_view sampler_method_name(SamplerMethod method) { return sampler_traits(method).name; }

SamplerMethod parse_sampler_method(std::string_view name) {
  const auto* found = std::ranges::find(kSamplers, name, &SamplerTraits::name);
  if (found == std::end(kSamplers))
    throw_input("there is no sampler '{}': choose one of {}", name, sampler_names());
  return found->method;
}

std::string sampler_names() {
  return join([](const SamplerTraits& traits) { return std::string(traits.name); });
}

std::string sampler_names(bool SamplerTraits::*trait) {
  return join([trait](const SamplerTraits& traits) { return std::string(traits.*trait ? traits.name : ""); });
}

std::string sampler_evaluations_help() {
  return join([](const SamplerTraits& traits) {
    if (traits.evaluations == 1) return std::string();
    return fmt::format("{}: {}", traits.name, traits.evaluations);
  });
}

std::string sampler_sigmas_help() {
  return "all but " + join([](const SamplerTraits& traits) {
           return std::string(traits.takes_sigmas() ? "" : traits.name);
         });
}

std::string sampler_orders_help() {
  return join([](const SamplerTraits& traits) {
    if (!traits.takes_order()) return std::string();
    return fmt::format("{}: 1 to {} (default {})", traits.name, traits.max_order, traits.default_order);
  });
}

}  // namespace ddpm
