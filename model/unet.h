// The U-Net of diffusion models as operations of a Program. The configuration's fields mean what the keys of
// diffusers' UNet2DModel mean. Depends on runtime/program.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/program.h"

namespace ddpm {

// How the time embedding enters a residual block.
enum class TimeModulation : uint8_t {
  kShift,       // added to the first convolution's output: Ho et al. 2020
  kScaleShift,  // scales and shifts the second normalisation's output: Dhariwal & Nichol 2021
};

enum class Downsampling : uint8_t {
  kPadAfter,   // 3x3, stride 2, zeros on the right and bottom only: Ho et al. 2020
  kPadAround,  // 3x3, stride 2, padding 1: OpenAI's models
};

enum class Initialisation : uint8_t {
  kHo,       // fan-average uniform; the last layer of each residual branch and of the network almost zero
  kPyTorch,  // PyTorch's defaults, as DDIM's code and diffusers have it
};

struct UnetConfig {
  int image_size = 32;
  int in_channels = 3;
  int out_channels = 3;
  std::vector<int> block_out_channels = {128, 256, 256, 256};
  std::vector<bool> attention = {false, true, false, false};  // by level, on the way down and up
  bool mid_attention = true;
  int layers_per_block = 2;
  int attention_head_dim = 0;  // 0: one head as wide as the channels
  int norm_num_groups = 32;
  // Of the attention in the middle alone. 0: norm_num_groups, or no normalisation at all with kScaleShift.
  int attn_norm_num_groups = 0;
  double norm_eps = 1e-6;
  TimeEmbeddingOrder time_embedding_order = TimeEmbeddingOrder::kSinCos;
  double freq_shift = 1;
  TimeModulation time_modulation = TimeModulation::kShift;
  Downsampling downsampling = Downsampling::kPadAfter;
  Initialisation initialisation = Initialisation::kHo;

  int levels() const { return static_cast<int>(block_out_channels.size()); }
  bool operator==(const UnetConfig&) const = default;
};

// InputError naming the first field that no network can be built from.
void validate(const UnetConfig& config);

// What a network is built into a program for.
struct UnetInstance {
  int batch = 1;
  BufferId x;                 // (N, H, W, in_channels)
  BufferId t;                 // (N)
  double dropout = 0;         // in training
  BufferId step = kNoBuffer;  // the counter of training steps, where there is dropout
  uint64_t seed = 0;          // of dropout
};

// Appends the network's forward operations and its parameters; returns its output (N, H, W, out_channels).
BufferId build_unet(Program& program, const UnetConfig& config, const UnetInstance& instance);

// A network of its own: its input is the buffer "x", its time "t", its output "conv_out".
Program unet_program(const UnetConfig& config, int batch);

}  // namespace ddpm
