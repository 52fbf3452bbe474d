// The named networks and their training recipes: published ones, and two small ones of our own.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/diffusion.h"
#include "model/unet/unet.h"

namespace ddpm {

// What the authors trained with: defaults that the user may change.
struct TrainingRecipe {
  int batch = 128;
  double learning_rate = 2e-4;
  double dropout = 0;
  int64_t warmup_steps = 0;
  double ema_decay = 0.9999;
  bool ema_ramp = false;
  LossReduction reduction = LossReduction::kMean;
  TimestepDraw draw = TimestepDraw::kUniform;
  int64_t steps = 100000;
};

struct Preset {
  std::string_view name;
  std::string_view summary;  // one line for --help and listings
  UnetConfig network;
  TrainingRecipe recipe;
};

// ddpm-cifar10-32, ddim-celeba-64, ddpm-celebahq-256, tiny-32, demo.
std::vector<Preset> presets();

// The InputError for an unknown name lists all.
Preset find_preset(std::string_view name);

}  // namespace ddpm
