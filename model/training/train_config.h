// Everything a training run is configured by: one table of options serves the TOML file, the command line,
// --print-config and the checkpoint.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/sampling/condition.h"
#include "model/sampling/noise_schedule.h"
#include "model/sampling/sampler_table.h"
#include "model/training/data_placement.h"
#include "model/training/training_program.h"
#include "model/unet/presets.h"
#include "runtime/device.h"
#include "runtime/gpu_options.h"

namespace ddpm {

// The preset's name of a configuration that follows none: every option stands for itself.
inline constexpr const char* kCustomPreset = "custom";

struct TrainConfig {
  std::string preset = "tiny-32";
  std::string data;  // NAME.npy
  std::string out = "runs/latest";
  int64_t steps = 5000;
  int batch = 16;
  uint64_t seed = 0;
  Device device = Device::kAuto;
  ComputePrecision precision = ComputePrecision::kAuto;
  DataPlacement data_placement = DataPlacement::kAuto;
  GpuOptions gpu;

  UnetConfig network;

  NoiseScheduleOptions schedule;
  Prediction prediction = Prediction::kEpsilon;
  LossReduction loss_reduction = LossReduction::kMean;
  LossWeighting loss_weighting = LossWeighting::kNone;
  double min_snr_gamma = 5;  // Hang et al. 2023
  TimestepDraw timestep_draw = TimestepDraw::kUniform;
  bool horizontal_flip = true;
  double dropout = 0;

  ConditionOptions condition;  // decides the network's class embedding

  AdamParams optimiser;

  int64_t log_every = 10;
  bool tensorboard = true;
  int64_t checkpoint_every = 1000;
  int keep_checkpoints = 3;
  int64_t sample_every = 1000;  // 0: no sample grids
  int sample_count = 36;
  SamplerOptions sampler;
  std::string sample_condition;  // conditions separated by semicolons, which the images take in turn
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
  std::function<void(TrainConfig&, const std::string&)> set;  // InputError naming key and value
};

std::vector<ConfigOption> train_options();

struct Setting {
  std::string key;
  std::string text;
};

// The settings of a TOML file: every key of every table must be an option in its own group. InputError with
// the file, the line and the key otherwise.
std::vector<Setting> read_settings(const std::filesystem::path& toml);

// Starts from the preset that the settings name (the last one that does), then applies them in order. The
// network takes the preset's image size. Validated.
TrainConfig make_train_config(const std::vector<Setting>& settings);

// The configuration on a data set with these labels: their names, and with them the size of the network's
// table of embeddings. InputError where the condition or the network wants others.
TrainConfig with_labels(TrainConfig config, const Labels& labels);

// The program of a training step as it is configured.
TrainingOptions training_options(const TrainConfig& config, int64_t dataset_count);

// All options and their values: as settings, and as a TOML file with each option's help above it.
std::vector<Setting> to_settings(const TrainConfig& config);
std::string to_toml(const TrainConfig& config);

// InputError naming the first option that makes no sense.
void validate(const TrainConfig& config);

}  // namespace ddpm
