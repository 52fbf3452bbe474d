// Small U-Nets with every structural feature, to test the runtime on real programs, and random
// values for them.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/random.h"
#include "model/training/training_program.h"
#include "model/unet/unet.h"

namespace ddpm {

// Three levels of different widths, an odd number of groups, several heads, attention in a level and
// in the middle.
inline UnetConfig small_unet() {
  UnetConfig config;
  config.image_size = 8;
  config.in_channels = 1;
  config.out_channels = 2;
  config.block_out_channels = {6, 12, 6};
  config.attention = {false, true, false};
  config.layers_per_block = 1;
  config.attention_head_dim = 3;
  config.norm_num_groups = 3;
  return config;
}

// Uniform in (-scale, scale); a pure function of the seed.
template <typename T>
void fill_random(std::span<T> values, uint64_t seed, double scale = 1) {
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = T(scale * (2.0 * uniform_open(random_bits({seed, 0}, 0, i)) - 1));
}

// A training step of the small network, with dropout; its program is over ten images.
inline TrainConfig small_training() {
  UnetConfig network = small_unet();
  network.out_channels = network.in_channels;
  return {.batch = 3, .seed = 5, .network = network, .schedule = {.timesteps = 20}, .dropout = 0.2};
}

inline TrainingProgram small_training_program() { return training_program(small_training(), {.count = 10}); }

}  // namespace ddpm
