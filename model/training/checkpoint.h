// A training run on disk: everything needed to continue it bit for bit, in files that other tools read too.
//
//   RUN/checkpoints/step-00000600/
//     model.safetensors      weights, with diffusers' names and in PyTorch's order
//     ema.safetensors        their moving average, likewise
//     optimizer.safetensors  Adam's moments: "m.NAME", "v.NAME"
//     state.json             step, data set, configuration
//   RUN/checkpoints/latest   the name of the newest complete checkpoint
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "model/training/train_config.h"
#include "model/training/training_program.h"
#include "model/weights/arena_file.h"
#include "runtime/executor.h"

namespace ddpm {

struct CheckpointState {
  int64_t step = 0;
  std::string dataset_hash{};  // empty: not trained yet
  int64_t dataset_count = 0;
  std::string labels_hash{};      // empty: no condition, or written by an older version
  std::vector<Setting> settings;  // of the run: model/training/train_config.h
};

// Writes the folder under a temporary name and renames it, then points `latest` at it, then removes all but
// the `keep` newest.
void save_checkpoint(const std::filesystem::path& run, const CheckpointState& state,
                     const TrainingBuffers& buffers, const Executor& executor, int keep);

// The checkpoint of a run that starts from given weights (an arena of `program`): step 0, the average equal
// to the weights, moments of zero.
void save_first_checkpoint(const std::filesystem::path& run, const CheckpointState& state,
                           const Program& program, std::span<const float> weights);

// The checkpoint folder of a path: itself, or the latest one of a run. InputError if there is none.
std::filesystem::path find_checkpoint(const std::filesystem::path& run_or_checkpoint);

CheckpointState read_checkpoint_state(const std::filesystem::path& checkpoint);

struct Checkpoint {
  std::filesystem::path path;
  CheckpointState state;
};

// find_checkpoint() and its state.
Checkpoint open_checkpoint(const std::filesystem::path& run_or_checkpoint);

// Writes the weights, their average, the moments and the step to a training program's buffers. InputError for
// a file of another network, listing the missing, unknown and misshapen tensors.
void restore_checkpoint(const Checkpoint& checkpoint, const TrainingBuffers& buffers, Executor& executor);

enum class WeightSource : uint8_t { kEma, kRaw };

// A network's weights from a checkpoint as the arena of `program`.
std::vector<float> read_weights(const std::filesystem::path& checkpoint, WeightSource source,
                                const Program& program);

}  // namespace ddpm
