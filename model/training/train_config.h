// The configuration of a training run: one table of options serves the TOML file, the command line,
// --print-config and the checkpoint.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/adam_ema.h"
#include "kernels/diffusion.h"
#include "model/sampling/condition.h"
#include "model/sampling/noise_schedule.h"
#include "model/sampling/sampler_table.h"
#include "model/training/data_placement.h"
#include "model/training/loss_weighting.h"
#include "model/unet/presets.h"
#include "runtime/device.h"
#include "runtime/gpu_options.h"

namespace ddpm {

// The preset's name of a configuration that follows no preset.
inline constexpr const char* kCustomPreset = "custom";

struct TrainConfig {
  std::string preset = "tiny-32";
  std::string data{};  // NAME.npy
  std::string out = "runs/latest";
  int64_t steps = 5000;
  int batch = 16;
  uint64_t seed = 0;
  Device device = Device::kAuto;
  ComputePrecision precision = ComputePrecision::kAuto;
  DataPlacement data_placement = DataPlacement::kAuto;
  GpuOptions gpu{};

  UnetConfig network{};

  NoiseScheduleOptions schedule{};
  // Extents, timesteps and seed are those of the members around it: training_program fills them in.
  DiffusionParams diffusion = {.horizontal_flip = true};
  LossWeighting loss_weighting = LossWeighting::kNone;
  double min_snr_gamma = 5;  // Hang et al. 2023
  double dropout = 0;

  ConditionOptions condition{};  // decides the network's class embedding

  AdamParams optimizer{};  // training_program fills in its count

  int64_t log_every = 10;
  bool tensorboard = true;
  int64_t checkpoint_every = 1000;
  int keep_checkpoints = 3;
  int64_t sample_every = 1000;  // 0: no sample grids
  int sample_count = 36;
  SamplerOptions sampler{};        // its prediction is diffusion.prediction
  std::string sample_condition{};  // separated by semicolons; the images take them in turn
  double sample_guidance = 1;
};

// One option. Text is what a flag takes; lists are separated by commas.
struct ConfigOption {
  enum class Kind : uint8_t { kText, kNumber, kBoolean, kList, kTextList };
  std::string group;  // the TOML table and the heading in --help
  std::string key;    // "learning_rate"; the flag is --learning-rate
  std::string help;
  Kind kind;
  std::function<std::string(const TrainConfig&)> get;
  // Sets the value; InputError names the option as `name` and gives the text.
  std::function<void(TrainConfig&, const std::string& text, const std::string& name)> assign;
  std::string sample_flag{};  // ddpm_sample's flag for it, "eta" for --eta; empty: it has none

  void set(TrainConfig& config, const std::string& text) const { assign(config, text, key); }
};

// model/training/train_options.cpp: every option of a training run, by group.
std::vector<ConfigOption> train_options();
// Those with a sample_flag, in the order of ddpm_sample's help. Some have no key: training does not use them.
std::vector<ConfigOption> sampling_options();

struct Setting {
  std::string key;
  std::string text;
};

// The settings of a TOML file. InputError with file, line and key unless every key is an option of its table.
std::vector<Setting> read_settings(const std::filesystem::path& toml);

// Starts from the last preset that the settings name, then applies them in order. Validated.
TrainConfig make_train_config(const std::vector<Setting>& settings);

// The configuration with the names of a data set's labels and the table of embeddings that they need.
// InputError if they do not fit the condition or the network.
TrainConfig with_labels(TrainConfig config, const Labels& labels);

// All options and their values, as settings and as a TOML file with each option's help above it.
std::vector<Setting> to_settings(const TrainConfig& config);
std::string to_toml(const TrainConfig& config);

// InputError naming the first option that is out of range or contradicts another.
void validate(const TrainConfig& config);

}  // namespace ddpm
