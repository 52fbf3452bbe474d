#include "model/unet/presets.h"

#include <string>

#include "support/error.h"

namespace ddpm {
namespace {

// Ho et al. 2020, CIFAR-10; diffusers: google/ddpm-cifar10-32.
Preset ddpm_cifar10_32() {
  return {
      .name = "ddpm-cifar10-32",
      .summary = "35.7 M parameters, 32x32: Ho et al. 2020, google/ddpm-cifar10-32",
      .network = {.image_size = 32,
                  .block_out_channels = {128, 256, 256, 256},
                  .attention = {false, true, false, false}},
      .recipe = {.batch = 128, .learning_rate = 2e-4, .dropout = 0.1, .warmup_steps = 5000, .steps = 800000}};
}

// Song, Meng & Ermon 2021 (DDIM), configs/celeba.yml.
Preset ddim_celeba_64() {
  return {.name = "ddim-celeba-64",
          .summary = "78.7 M parameters, 64x64: Song et al. 2021 (DDIM), celeba.yml",
          .network = {.image_size = 64,
                      .block_out_channels = {128, 256, 256, 256, 512},
                      .attention = {false, false, true, false, false},
                      .initialization = Initialization::kPyTorch},
          .recipe = {.batch = 128,
                     .learning_rate = 2e-4,
                     .dropout = 0.1,
                     .reduction = LossReduction::kSum,
                     .draw = TimestepDraw::kAntithetic,
                     .steps = 500000}};
}

// Ho et al. 2020, CelebA-HQ; diffusers: google/ddpm-celebahq-256.
Preset ddpm_celebahq_256() {
  return {.name = "ddpm-celebahq-256",
          .summary = "113.7 M parameters, 256x256: Ho et al. 2020, google/ddpm-celebahq-256",
          .network = {.image_size = 256,
                      .block_out_channels = {128, 128, 256, 256, 512, 512},
                      .attention = {false, false, false, false, true, false}},
          .recipe = {.batch = 64, .learning_rate = 2e-5, .warmup_steps = 5000, .steps = 500000}};
}

// Small enough to train on two CPU cores within minutes; the same structure as the published networks.
Preset tiny_32() {
  return {
      .name = "tiny-32",
      .summary = "1.6 M parameters, 32x32: for the CPU and for tests",
      .network = {.image_size = 32, .block_out_channels = {32, 64, 64}, .attention = {false, true, false}},
      .recipe = {.batch = 16,
                 .learning_rate = 4e-4,
                 .warmup_steps = 100,
                 .ema_decay = 0.999,
                 .ema_ramp = true,
                 .steps = 5000}};
}

// What scripts/demo.sh trains on the CPU in a few minutes.
Preset demo() {
  return {.name = "demo",
          .summary = "small, 32x32: shows faces after minutes on two CPU cores",
          .network = {.image_size = 32,
                      .block_out_channels = {32, 64, 64},
                      .attention = {false, false, false},
                      .layers_per_block = 1,
                      .norm_num_groups = 8},
          .recipe = {.batch = 16,
                     .learning_rate = 1e-3,
                     .warmup_steps = 100,
                     .ema_decay = 0.995,
                     .ema_ramp = true,
                     .steps = 1500}};
}

}  // namespace

std::vector<Preset> presets() {
  return {ddpm_cifar10_32(), ddim_celeba_64(), ddpm_celebahq_256(), tiny_32(), demo()};
}

Preset find_preset(std::string_view name) {
  std::string known;
  for (Preset& preset : presets()) {
    if (preset.name == name) return preset;
    known += (known.empty() ? "" : ", ") + std::string(preset.name);
  }
  throw_input("there is no preset '{}': choose one of {}", name, known);
}

}  // namespace ddpm
