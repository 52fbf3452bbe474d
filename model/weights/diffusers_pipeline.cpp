#include "model/weights/diffusers_pipeline.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <system_error>

#include "model/weights/old_tensor_names.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeights = "diffusion_pytorch_model.safetensors";
constexpr const char* kWeightsIndex = "diffusion_pytorch_model.safetensors.index.json";
constexpr const char* kPickle = "diffusion_pytorch_model.bin";
constexpr const char* kUnetConfig = "config.json";
constexpr const char* kSchedulerConfig = "scheduler_config.json";

fs::path unet_folder(const fs::path& folder) {
  return fs::exists(folder / "unet" / kUnetConfig) ? folder / "unet" : folder;
}

fs::path scheduler_config_path(const fs::path& folder) {
  for (const fs::path& path : {folder / "scheduler" / kSchedulerConfig, folder / kSchedulerConfig})
    if (fs::exists(path)) return path;
  throw_input("{} holds no {}: without it the noise schedule is unknown", folder.string(), kSchedulerConfig);
}

// The files that an index names, each once.
std::set<std::string> shards(const fs::path& index) {
  std::set<std::string> files;
  const nlohmann::json json = nlohmann::json::parse(read_file(index), nullptr, /*allow_exceptions=*/false);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (map == json.end() || !map->is_object())
    throw_input("{}: there is no weight_map, which names the files of the weights; the file may be damaged",
                index.string());
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || fs::path(file.get<std::string>()).filename() != file.get<std::string>())
      throw_input("{}: tensor '{}' is not in a file of this folder", index.string(), tensor);
    files.insert(file.get<std::string>());
  }
  return files;
}

[[noreturn]] void refuse_pickle(const fs::path& pickle) {
  const std::string from = pickle.string(), to = (pickle.parent_path() / kWeights).string();
  throw_input(
      "{}: a pickle can run any program when it is opened, so it is not read here; convert it once by: "
      "python3 -c \"import torch, safetensors.torch as s; s.save_file({{k: v.contiguous() for k, v in "
      "torch.load('{}', map_location='cpu', weights_only=True).items()}}, '{}')\"",
      from, from, to);
}

std::vector<fs::path> weight_files(const fs::path& folder) {
  if (fs::exists(folder / kWeights)) return {folder / kWeights};
  if (fs::exists(folder / kWeightsIndex)) {
    std::vector<fs::path> files;
    for (const std::string& name : shards(folder / kWeightsIndex)) files.push_back(folder / name);
    return files;
  }
  if (fs::exists(folder / kPickle)) refuse_pickle(folder / kPickle);
  throw_input("{} holds neither {} nor {}", folder.string(), kWeights, kWeightsIndex);
}

}  // namespace

bool is_diffusers_folder(const fs::path& folder) {
  return fs::exists(folder / "model_index.json") || fs::exists(unet_folder(folder) / kUnetConfig);
}

DiffusersUnet read_diffusers_unet(const fs::path& folder) {
  const fs::path path = unet_folder(folder) / kUnetConfig;
  return parse_unet_config(read_file(path), path.string());
}

DiffusersPipeline read_diffusers_pipeline(const fs::path& folder) {
  const fs::path scheduler = scheduler_config_path(folder);
  return {read_diffusers_unet(folder), parse_scheduler_config(read_file(scheduler), scheduler.string())};
}

std::vector<float> read_diffusers_weights(const fs::path& folder, const UnetConfig& config,
                                          const Program& program) {
  std::vector<std::unique_ptr<SafetensorsFile>> files;  // the views below look into them
  TensorViews tensors;
  for (const fs::path& path : weight_files(unet_folder(folder))) {
    files.push_back(std::make_unique<SafetensorsFile>(path));
    for (const auto& [name, view] : files.back()->tensors())
      if (!tensors.emplace(present_tensor_name(name, config.levels()), view).second)
        throw_input("{}: tensor '{}' occurs twice, in another file or under another name", path.string(),
                    name);
  }
  return gather_arena(program, tensors, unet_folder(folder).string());
}

void write_diffusers_pipeline(const fs::path& folder, const DiffusersPipeline& pipeline,
                              const Program& program, std::span<const float> weights, StoredType type) {
  if (fs::exists(folder) && !(fs::is_directory(folder) && fs::is_empty(folder)))
    throw_input("{} exists already: name a folder that does not", folder.string());
  const std::string unet = unet_config_json(pipeline.unet),
                    scheduler = scheduler_config_json(pipeline.scheduler);
  const fs::path target =
      folder.has_filename() ? folder : folder.parent_path();  // without a slash at its end
  const fs::path partial = target.string() + ".partial";
  std::error_code ignored;
  fs::remove_all(partial, ignored);  // of an export that was killed
  try {
    create_folder(partial / "unet");
    create_folder(partial / "scheduler");
    ArenaFile file(type);
    file.add(program, "", weights);
    file.write(partial / "unet" / kWeights);
    write_file_atomically(partial / "unet" / kUnetConfig, unet);
    write_file_atomically(partial / "scheduler" / kSchedulerConfig, scheduler);
    write_file_atomically(partial / "model_index.json", model_index_json());
    replace_folder(partial, target);
  } catch (...) {
    fs::remove_all(partial, ignored);
    throw;
  }
}

}  // namespace ddpm
