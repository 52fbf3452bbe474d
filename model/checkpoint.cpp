#include "model/checkpoint.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>
#include <utility>

#include "model/parameters.h"
#include "runtime/safetensors.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;

constexpr int kFormatVersion = 1;
constexpr const char* kFolder = "checkpoints";
constexpr const char* kLatest = "latest";
constexpr const char* kPartial = ".partial";

// The named tensors of an arena in PyTorch's order, each in memory of its own until the file is written.
class NamedArena {
 public:
  void add(const Program& program, const std::string& prefix, std::span<const float> arena) {
    for_each_tensor(program, [&](const NamedTensor& tensor, int64_t offset) {
      const size_t count = static_cast<size_t>(element_count(tensor.shape));
      std::vector<float>& values = storage_.emplace_back(count);
      to_pytorch_order(tensor, arena.subspan(static_cast<size_t>(offset), count), values);
      entries_.push_back({.name = prefix + tensor.name,
                          .type = SafetensorsType::kF32,
                          .shape = tensor.shape,
                          .bytes = as_byte_span<float>(values)});
    });
  }
  void write(const fs::path& path) const { write_safetensors(path, entries_); }

 private:
  std::vector<std::vector<float>> storage_;
  std::vector<SafetensorsEntry> entries_;
};

void write_arena(const fs::path& path, const Program& program, std::span<const float> arena) {
  NamedArena named;
  named.add(program, "", arena);
  named.write(path);
}

std::string text_of(const CheckpointState& state) {
  nlohmann::ordered_json config;
  for (const Setting& setting : state.settings) config[setting.key] = setting.text;
  const nlohmann::ordered_json json = {{"format_version", kFormatVersion},
                                       {"step", state.step},
                                       {"dataset_hash", state.dataset_hash},
                                       {"dataset_count", state.dataset_count},
                                       {"config", config}};
  return json.dump(2) + "\n";
}

std::string checkpoint_name(int64_t step) { return fmt::format("step-{:08}", step); }

// Whole checkpoints of a run, oldest first.
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
  // A run that was resumed from an earlier step may hold later ones: the newest in time always stays.
  std::erase(all, newest);
  const size_t stay = static_cast<size_t>(keep - 1);
  for (size_t i = 0; i + stay < all.size(); ++i) fs::remove_all(all[i]);
}

std::string shape_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

// Everything that is wrong between a file and the tensors that a program wants, at once.
class Differences {
 public:
  void missing(const std::string& name) { add("missing", name); }
  void unknown(const std::string& name) { add("unknown", name); }
  void misshapen(const std::string& name, const Shape& found, const Shape& wanted) {
    add("misshapen", fmt::format("{} is {} instead of {}", name, shape_text(found), shape_text(wanted)));
  }
  void throw_if_any(const fs::path& file) const {
    if (lists_.empty()) return;
    std::string text;
    for (const auto& [kind, names] : lists_)
      text += fmt::format("; {} ({}): {}", kind, names.size(), fmt::join(names, ", "));
    throw_input("{} does not hold this network's weights: it belongs to another configuration{}",
                file.string(), text);
  }

 private:
  void add(const char* kind, std::string name) { lists_[kind].push_back(std::move(name)); }
  std::map<std::string, std::vector<std::string>> lists_;
};

}  // namespace

std::vector<float> read_arena(const fs::path& path, const Program& program, const std::string& prefix) {
  const SafetensorsFile file(path);
  std::vector<float> arena(static_cast<size_t>(program.parameter_elements()), 0.0f);
  Differences differences;
  std::map<std::string, bool> wanted;
  for_each_tensor(program, [&](const NamedTensor& tensor, int64_t offset) {
    const std::string name = prefix + tensor.name;
    wanted[name] = true;
    if (!file.contains(name)) return differences.missing(name);
    if (file.tensor(name).shape != tensor.shape)
      return differences.misshapen(name, file.tensor(name).shape, tensor.shape);
    const std::vector<float> values = file.values<float>(name);
    from_pytorch_order(tensor, values, std::span(arena).subspan(static_cast<size_t>(offset), values.size()));
  });
  for (const auto& [name, view] : file.tensors())
    if (name.starts_with(prefix) && !wanted.contains(name)) differences.unknown(name);
  differences.throw_if_any(path);
  return arena;
}

void save_checkpoint(const fs::path& run, const CheckpointState& state, const TrainingProgram& buffers,
                     const Executor& executor, int keep) {
  const fs::path folder = run / kFolder, final_path = folder / checkpoint_name(state.step);
  const fs::path partial = final_path.string() + kPartial;
  create_folder(folder);
  std::error_code ignored;
  fs::remove_all(partial, ignored);  // of a run that was killed here
  create_folder(partial);
  try {
    const Program& program = executor.program();
    std::vector<float> arena(static_cast<size_t>(program.parameter_elements()));
    executor.read_parameters(arena);
    write_arena(partial / "model.safetensors", program, arena);
    executor.read(buffers.ema, arena);
    write_arena(partial / "ema.safetensors", program, arena);
    NamedArena moments;
    executor.read(buffers.m, arena);
    moments.add(program, "m.", arena);
    executor.read(buffers.v, arena);
    moments.add(program, "v.", arena);
    moments.write(partial / "optimizer.safetensors");
    write_file_atomically(partial / "state.json", text_of(state));
    fs::remove_all(final_path);
    fs::rename(partial, final_path);
  } catch (const fs::filesystem_error& error) {
    fs::remove_all(partial, ignored);
    throw_input("cannot finish the checkpoint {}: {}", final_path.string(), error.code().message());
  } catch (...) {
    fs::remove_all(partial, ignored);
    throw;
  }
  write_file_atomically(folder / kLatest, final_path.filename().string() + "\n");
  remove_old(folder, final_path, keep);
}

fs::path find_checkpoint(const fs::path& path) {
  if (fs::exists(path / "state.json")) return path;
  const fs::path folder = path / kFolder, latest = folder / kLatest;
  if (!fs::exists(latest))
    throw_input("{} holds no checkpoint: give the folder of a run, or one of its checkpoints/step-*",
                path.string());
  std::string name = read_file(latest);
  while (!name.empty() && (name.back() == '\n' || name.back() == '\r')) name.pop_back();
  if (!fs::exists(folder / name / "state.json"))
    throw_input("{} names '{}', which is no whole checkpoint: give one of {}/step-* instead", latest.string(),
                name, folder.string());
  return folder / name;
}

CheckpointState read_checkpoint_state(const fs::path& checkpoint) {
  const fs::path path = checkpoint / "state.json";
  CheckpointState state;
  try {
    const nlohmann::ordered_json json = nlohmann::ordered_json::parse(read_file(path));
    if (const int version = json.at("format_version"); version != kFormatVersion)
      throw_input("{} has format version {}, but this program reads {}: use the version that wrote it",
                  path.string(), version, kFormatVersion);
    state.step = json.at("step");
    state.dataset_hash = json.at("dataset_hash");
    state.dataset_count = json.at("dataset_count");
    for (const auto& [key, value] : json.at("config").items()) state.settings.push_back({key, value});
  } catch (const nlohmann::json::exception& error) {
    throw_input("{} is damaged: {}; take an older checkpoint", path.string(), error.what());
  }
  if (state.step < 0)
    throw_input("{} is damaged: step {} is negative; take an older checkpoint", path.string(), state.step);
  return state;
}

void restore_checkpoint(const fs::path& checkpoint, const TrainingProgram& buffers, Executor& executor) {
  const Program& program = executor.program();
  const CheckpointState state = read_checkpoint_state(checkpoint);
  const fs::path optimizer = checkpoint / "optimizer.safetensors";
  executor.write_parameters(read_arena(checkpoint / "model.safetensors", program));
  executor.write(buffers.ema, read_arena(checkpoint / "ema.safetensors", program));
  executor.write(buffers.m, read_arena(optimizer, program, "m."));
  executor.write(buffers.v, read_arena(optimizer, program, "v."));
  executor.write_index(buffers.step, state.step);
}

std::vector<float> read_weights(const fs::path& checkpoint, WeightSource source, const Program& program) {
  return read_arena(checkpoint / (source == WeightSource::kEma ? "ema.safetensors" : "model.safetensors"),
                    program);
}

}  // namespace ddpm
