// The types that tensors are stored in.
#pragma once

#include <cstdint>

#include "device/bfloat16.h"

namespace ddpm {

enum class ElementType : uint8_t { kFloat, kBfloat16, kDouble };

constexpr int element_bytes(ElementType type) {
  return type == ElementType::kFloat ? 4 : type == ElementType::kBfloat16 ? 2 : 8;
}

template <typename T>
inline constexpr ElementType kElementType = ElementType::kFloat;
template <>
inline constexpr ElementType kElementType<BFloat16> = ElementType::kBfloat16;
template <>
inline constexpr ElementType kElementType<double> = ElementType::kDouble;

}  // namespace ddpm
