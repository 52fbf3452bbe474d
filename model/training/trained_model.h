// A trained network from a run of ddpm_train, one of its checkpoints or a diffusers folder.
#pragma once

#include <filesystem>
#include <vector>

#include "model/training/checkpoint.h"
#include "model/weights/diffusers_pipeline.h"

namespace ddpm {

// A diffusers folder holds one set of weights, whatever WeightSource says.
struct TrainedModel {
  enum class Format : uint8_t { kCheckpoint, kDiffusers };
  Format format = Format::kCheckpoint;
  std::filesystem::path path;  // the checkpoint or the diffusers folder
  TrainConfig config;          // as it was trained; of a diffusers folder as far as its files say
  int64_t step = 0;            // optimizer steps done
};

// InputError if the path holds none of them, or a network that is not supported here.
TrainedModel open_trained_model(const std::filesystem::path& path);

// The weights as the arena of `program`, a network of the model's configuration.
std::vector<float> read_weights(const TrainedModel& model, WeightSource source, const Program& program);

// The configuration of a run that would have trained the pipeline's network, and the pipeline of a run's
// network. The former throws an InputError if the network's output does not have the shape of its input.
TrainConfig to_train_config(const DiffusersPipeline& pipeline);
DiffusersPipeline to_diffusers_pipeline(const TrainConfig& config);

}  // namespace ddpm
