// The pointwise nonlinearity that operations fuse.
#pragma once

#include <cstdint>

namespace ddpm {

enum class Activation : uint8_t { kNone, kSilu };

}  // namespace ddpm
