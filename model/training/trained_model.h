// A trained network wherever it lies: in a run of ddpm_train, in one of its checkpoints, or in a diffusers
// folder.
#pragma once

#include <filesystem>
#include <vector>

#include "model/training/checkpoint.h"
#include "model/weights/diffusers_pipeline.h"

namespace ddpm {

// Which of the three a path means; a diffusers folder holds one set of weights, whatever WeightSource says.
struct TrainedModel {
  enum class Format : uint8_t { kCheckpoint, kDiffusers };
  Format format = Format::kCheckpoint;
  std::filesystem::path path;  // of the checkpoint itself, or of the folder
  TrainConfig config;          // as it was trained; of a diffusers folder what its files say
  int64_t step = 0;            // optimiser steps done
};

// InputError where the path holds none of them, or one that cannot be expressed here.
TrainedModel open_trained_model(const std::filesystem::path& path);

// The weights as the arena of `program`, a network of the model's configuration.
std::vector<float> read_weights(const TrainedModel& model, WeightSource source, const Program& program);

// The configuration of a run that would have trained the pipeline's network, and the pipeline of a run's
// network. The first is an InputError where the network's output is not shaped as its input.
TrainConfig to_train_config(const DiffusersPipeline& pipeline);
DiffusersPipeline to_diffusers_pipeline(const TrainConfig& config);

}  // namespace ddpm
