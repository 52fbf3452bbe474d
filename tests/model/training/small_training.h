// A training run that fits a test: a tiny network on images made here, through the real Trainer.
// Tests only; depends on model/training/trainer.h.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "kernels/random.h"
#include "model/training/train_config.h"

namespace ddpm {

inline constexpr int kSmallImageSize = 8;

// Images of one color gradient each, so that there is something to learn.
inline Dataset small_dataset(int64_t count = 12, uint64_t seed = 1) {
  std::vector<uint8_t> pixels;
  for (int64_t i = 0; i < count; ++i)
    for (int y = 0; y < kSmallImageSize; ++y)
      for (int x = 0; x < kSmallImageSize; ++x)
        for (uint64_t channel = 0; channel < 3; ++channel)
          pixels.push_back(
              static_cast<uint8_t>(random_bits({seed, 0}, uint64_t(i), channel) % 150 + 7 * (x + y)));
  DatasetCard card;
  card.source = "test";
  card.count = count;
  card.height = card.width = kSmallImageSize;
  card.channels = 3;
  return Dataset::from_pixels(std::move(pixels), std::move(card));
}

// Two levels of 8 and 16 channels, attention, dropout, flips, warm-up and a ramped average: everything that a
// resumed run must continue.
inline TrainConfig small_config() {
  return make_train_config({{"image_size", "8"},
                            {"block_out_channels", "8,16"},
                            {"attention", "false,true"},
                            {"layers_per_block", "1"},
                            {"norm_num_groups", "4"},
                            {"data", "small.npy"},
                            {"device", "cpu"},
                            {"batch", "4"},
                            {"seed", "3"},
                            {"timesteps", "50"},
                            {"beta_end", "0.2"},
                            {"dropout", "0.1"},
                            {"warmup_steps", "5"},
                            {"learning_rate", "2e-3"},
                            {"sample_count", "5"},
                            {"sample_steps", "4"},
                            {"keep_checkpoints", "2"}});
}

}  // namespace ddpm
