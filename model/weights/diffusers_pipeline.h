// A diffusers pipeline on disk, read and written: DDPMPipeline's folder layout, and the flat one of some
// published repositories.
//
//   FOLDER/model_index.json                        or, flat,   FOLDER/config.json
//   FOLDER/unet/config.json                                    FOLDER/diffusion_pytorch_model.safetensors
//   FOLDER/unet/diffusion_pytorch_model.safetensors            FOLDER/scheduler_config.json
//   FOLDER/scheduler/scheduler_config.json
//
// Weights may be split over several files, named by diffusion_pytorch_model.safetensors.index.json.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "model/weights/arena_file.h"
#include "model/weights/diffusers_config.h"

namespace ddpm {

struct DiffusersPipeline {
  DiffusersUnet unet;
  DiffusersScheduler scheduler;
};

// Whether a folder holds a pipeline's configuration in either layout.
bool is_diffusers_folder(const std::filesystem::path& folder);

// The network's configuration alone, also from a folder without a scheduler.
DiffusersUnet read_diffusers_unet(const std::filesystem::path& folder);
DiffusersPipeline read_diffusers_pipeline(const std::filesystem::path& folder);

// The weights as the arena of `program`, a network of `config`. Older names are understood
// (model/weights/old_tensor_names.h). InputError if there is only a pickle file, with the way to convert it,
// and for tensors that do not fit, listing all of them.
std::vector<float> read_diffusers_weights(const std::filesystem::path& folder, const UnetConfig& config,
                                          const Program& program);

// Writes the folder layout. InputError if the folder is not empty.
void write_diffusers_pipeline(const std::filesystem::path& folder, const DiffusersPipeline& pipeline,
                              const Program& program, std::span<const float> weights, StoredType type);

}  // namespace ddpm
