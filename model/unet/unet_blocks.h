// The two blocks of a U-Net: residual and attention.
#pragma once

#include <cstdint>
#include <string>

#include "model/unet/unet_layers.h"
#include "model/unet/unet_time.h"

namespace ddpm {

// What a residual block does to the size of its image, in both of its branches.
enum class Resample : uint8_t {
  kNone,
  kDown,  // average of 2x2 pixels
  kUp,    // nearest
};

struct ResnetBlock {
  int out = 0;     // channels
  Feature skip{};  // concatenated to the input: [x, skip]; absent on the way down
  Resample resample = Resample::kNone;
  double scale_factor = 1;  // divides the sum of the branches
};

// norm -> SiLU -> (resample) -> conv -> (+ time) -> norm -> SiLU -> dropout -> conv -> + shortcut
// The concatenation [x, skip] is never written to memory.
Feature resnet_block(UnetLayers& layers, const UnetTime& time, const std::string& name, Feature x,
                     const ResnetBlock& block);

struct AttentionBlock {
  int groups = 0;  // of the normalization; 0: none
  double scale_factor = 1;
};

// norm -> q, k, v -> softmax(q k^T / sqrt d) v -> projection -> + x
Feature attention_block(UnetLayers& layers, const std::string& name, Feature x, const AttentionBlock& block);

}  // namespace ddpm
