#include "model/training/trained_model.h"

#include "model/unet/presets.h"
#include "support/error.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;

// The preset with this network, so that a run names what it trains.
std::string preset_of(const UnetConfig& network) {
  for (const Preset& preset : presets()) {
    UnetConfig known = preset.network;
    known.initialization = network.initialization;  // irrelevant for trained weights
    if (known == network) return std::string(preset.name);
  }
  return kCustomPreset;
}

}  // namespace

TrainConfig to_train_config(const DiffusersPipeline& pipeline) {
  TrainConfig config;
  config.network = pipeline.unet.network;
  if (config.network.out_channels != config.network.in_channels)
    throw_input(
        "out_channels = {} is not supported with in_channels = {}: a network that also predicts a variance "
        "can be neither trained nor sampled here",
        config.network.out_channels, config.network.in_channels);
  config.preset = preset_of(config.network);
  config.dropout = pipeline.unet.dropout;
  config.schedule = pipeline.scheduler.schedule;
  config.diffusion.prediction = pipeline.scheduler.sampler.prediction;
  // A run draws its grids with the default sampler: a thousand ancestral steps would take too long.
  const SamplerOptions defaults;
  config.sampler = pipeline.scheduler.sampler;
  config.sampler.method = defaults.method;
  config.sampler.steps = std::min(defaults.steps, config.schedule.timesteps);
  validate(config);
  return config;
}

DiffusersPipeline to_diffusers_pipeline(const TrainConfig& config) {
  DiffusersPipeline pipeline;
  pipeline.unet = {.network = config.network, .dropout = config.dropout};
  pipeline.scheduler = {.schedule = config.schedule, .sampler = config.sampler};
  return pipeline;
}

TrainedModel open_trained_model(const fs::path& path) {
  TrainedModel model;
  if (is_diffusers_folder(path)) {
    model.format = TrainedModel::Format::kDiffusers;
    model.path = path;
    model.config = to_train_config(read_diffusers_pipeline(path));
    return model;
  }
  const Checkpoint checkpoint = open_checkpoint(path);
  model.path = checkpoint.path;
  model.config = make_train_config(checkpoint.state.settings);
  model.step = checkpoint.state.step;
  return model;
}

std::vector<float> read_weights(const TrainedModel& model, WeightSource source, const Program& program) {
  if (model.format == TrainedModel::Format::kDiffusers)
    return read_diffusers_weights(model.path, model.config.network, program);
  return read_weights(model.path, source, program);
}

}  // namespace ddpm
