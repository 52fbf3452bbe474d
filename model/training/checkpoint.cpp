#include "model/training/checkpoint.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>
#include <utility>

#include "model/weights/arena_file.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;

constexpr int kFormatVersion = 1;
constexpr const char* kFolder = "checkpoints";
constexpr const char* kLatest = "latest";
constexpr const char* kPartial = ".partial";

void write_arena(const fs::path& path, const Program& program, std::span<const float> arena) {
  ArenaFile file;
  file.add(program, "", arena);
  file.write(path);
}

std::string text_of(const CheckpointState& state) {
  nlohmann::ordered_json config;
  for (const Setting& setting : state.settings) config[setting.key] = setting.text;
  const nlohmann::ordered_json json = {
      {"format_version", kFormatVersion},   {"step", state.step},
      {"dataset_hash", state.dataset_hash}, {"dataset_count", state.dataset_count},
      {"labels_hash", state.labels_hash},   {"config", config}};
  return json.dump(2) + "\n";
}

std::string checkpoint_name(int64_t step) { return fmt::format("step-{:08}", step); }

// Complete checkpoints of a run, oldest first.
std::vector<fs::path> list_checkpoints(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.is_directory() && entry.path().filename().string().starts_with("step-") &&
        entry.path().extension() != kPartial)
      found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

void remove_old(const fs::path& folder, const fs::path& newest, int keep) {
  std::vector<fs::path> all = list_checkpoints(folder);
  // A run that was resumed from an earlier step may hold later ones: the one just written always stays.
  std::erase(all, newest);
  const size_t stay = static_cast<size_t>(keep - 1);
  std::error_code ignored;  // the new checkpoint is complete; removal is tried again after the next
  for (size_t i = 0; i + stay < all.size(); ++i) fs::remove_all(all[i], ignored);
}

// Writes the folder of a checkpoint; write_tensors(folder) writes its safetensors files.
template <typename WriteTensors>
void write_checkpoint(const fs::path& run, const CheckpointState& state, int keep,
                      const WriteTensors& write_tensors) {
  const fs::path folder = run / kFolder, final_path = folder / checkpoint_name(state.step);
  const fs::path partial = final_path.string() + kPartial;
  create_folder(folder);
  std::error_code ignored;
  fs::remove_all(partial, ignored);  // of a run that was killed here
  create_folder(partial);
  try {
    write_tensors(partial);
    write_file_atomically(partial / "state.json", text_of(state));
    replace_folder(partial, final_path);
  } catch (...) {
    fs::remove_all(partial, ignored);
    throw;
  }
  write_file_atomically(folder / kLatest, final_path.filename().string() + "\n");
  remove_old(folder, final_path, keep);
}

}  // namespace

void save_checkpoint(const fs::path& run, const CheckpointState& state, const TrainingBuffers& buffers,
                     const Executor& executor, int keep) {
  write_checkpoint(run, state, keep, [&](const fs::path& folder) {
    const Program& program = executor.program();
    std::vector<float> arena(static_cast<size_t>(program.parameter_elements()));
    executor.read_parameters(arena);
    write_arena(folder / "model.safetensors", program, arena);
    executor.read(buffers.ema, arena);
    write_arena(folder / "ema.safetensors", program, arena);
    ArenaFile moments;
    executor.read(buffers.m, arena);
    moments.add(program, "m.", arena);
    executor.read(buffers.v, arena);
    moments.add(program, "v.", arena);
    moments.write(folder / "optimizer.safetensors");
  });
}

void save_first_checkpoint(const fs::path& run, const CheckpointState& state, const Program& program,
                           std::span<const float> weights) {
  DDPM_CHECK(state.step == 0);
  write_checkpoint(run, state, 1, [&](const fs::path& folder) {
    write_arena(folder / "model.safetensors", program, weights);
    write_arena(folder / "ema.safetensors", program, weights);
    const std::vector<float> zeros(weights.size(), 0.0f);
    ArenaFile moments;
    moments.add(program, "m.", zeros);
    moments.add(program, "v.", zeros);
    moments.write(folder / "optimizer.safetensors");
  });
}

fs::path find_checkpoint(const fs::path& path) {
  if (fs::exists(path / "state.json")) return path;
  const fs::path folder = path / kFolder, latest = folder / kLatest;
  if (!fs::exists(latest))
    throw_input("{} holds no checkpoint: give the folder of a run or one of its checkpoints/step-*",
                path.string());
  std::string name = read_file(latest);
  while (!name.empty() && (name.back() == '\n' || name.back() == '\r')) name.pop_back();
  if (!fs::exists(folder / name / "state.json"))
    throw_input("{} names '{}', which is not a complete checkpoint: give one of {}/step-* instead",
                latest.string(), name, folder.string());
  return folder / name;
}

namespace {

// The library would silently truncate a fraction, and converting 1e300 is undefined.
int64_t whole_number(const nlohmann::ordered_json& value) {
  return value.get_ref<const nlohmann::ordered_json::number_integer_t&>();
}

}  // namespace

CheckpointState read_checkpoint_state(const fs::path& checkpoint) {
  const fs::path path = checkpoint / "state.json";
  CheckpointState state;
  try {
    const nlohmann::ordered_json json = nlohmann::ordered_json::parse(read_file(path));
    if (const int64_t version = whole_number(json.at("format_version")); version != kFormatVersion)
      throw_input("{} has format version {}, but this program reads {}: use the version that wrote it",
                  path.string(), version, kFormatVersion);
    state.step = whole_number(json.at("step"));
    state.dataset_hash = json.at("dataset_hash");
    state.dataset_count = whole_number(json.at("dataset_count"));
    state.labels_hash = json.value("labels_hash", std::string());
    const auto& config = json.at("config").get_ref<const nlohmann::ordered_json::object_t&>();
    for (const auto& [key, value] : config) state.settings.push_back({key, value});
  } catch (const nlohmann::json::exception& error) {
    throw_input("{} is damaged: {}; use an older checkpoint", path.string(), error.what());
  }
  if (state.step < 0)
    throw_input("{} is damaged: step {} is negative; use an older checkpoint", path.string(), state.step);
  return state;
}

Checkpoint open_checkpoint(const fs::path& run_or_checkpoint) {
  const fs::path path = find_checkpoint(run_or_checkpoint);
  return {.path = path, .state = read_checkpoint_state(path)};
}

void restore_checkpoint(const Checkpoint& checkpoint, const TrainingBuffers& buffers, Executor& executor) {
  const Program& program = executor.program();
  const auto open = [&](const char* name) { return SafetensorsFile(checkpoint.path / name); };
  // All files are read before anything is written: a damaged one leaves the executor as it was.
  const std::vector<float> weights = read_arena(open("model.safetensors"), program),
                           ema = read_arena(open("ema.safetensors"), program);
  const SafetensorsFile optimizer = open("optimizer.safetensors");
  const std::vector<float> m = read_arena(optimizer, program, "m."), v = read_arena(optimizer, program, "v.");
  executor.write_parameters(weights);
  executor.write(buffers.ema, ema);
  executor.write(buffers.m, m);
  executor.write(buffers.v, v);
  executor.write_index(buffers.step, checkpoint.state.step);
}

std::vector<float> read_weights(const fs::path& checkpoint, WeightSource source, const Program& program) {
  const char* name = source == WeightSource::kEma ? "ema.safetensors" : "model.safetensors";
  return read_arena(SafetensorsFile(checkpoint / name), program);
}

}  // namespace ddpm
