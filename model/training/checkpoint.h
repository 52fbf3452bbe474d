// A training run on disk: everything that continues it bit for bit, in files that other tools read too.
//
//   RUN/checkpoints/step-00000600/model.safetensors      weights, under diffusers' names and in PyTorch's
//   order
//                                 ema.safetensors        their moving average, likewise
//                                 optimizer.safetensors  Adam's moments: "m.NAME", "v.NAME"
//                                 state.json             step, data set, configuration
//   RUN/checkpoints/latest                               the name of the newest whole checkpoint
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
  std::string dataset_hash{};  // empty: no data was seen
  int64_t dataset_count = 0;
  std::string labels_hash{};      // of a conditional run; empty: it has none, or an older version wrote this
  std::vector<Setting> settings;  // of the run: model/training/train_config.h
};

// Writes the folder beside its final name and renames it, then points `latest` at it, then removes all but
// the `keep` newest.
void save_checkpoint(const std::filesystem::path& run, const CheckpointState& state,
                     const TrainingProgram& buffers, const Executor& executor, int keep);

// The checkpoint of a run that begins with given weights (an arena of `program`): step 0, the average equal
// to the weights, the moments zero.
void save_first_checkpoint(const std::filesystem::path& run, const CheckpointState& state,
                           const Program& program, std::span<const float> weights);

// The checkpoint folder that a path means: itself, or the latest one of a run. InputError where there is
// none.
std::filesystem::path find_checkpoint(const std::filesystem::path& run_or_checkpoint);

CheckpointState read_checkpoint_state(const std::filesystem::path& checkpoint);

// Puts the weights, their average, the moments and the step where a training program has them. A file whose
// tensors are not those of the program is an InputError that lists the missing, the unknown and the misshapen
// ones.
void restore_checkpoint(const std::filesystem::path& checkpoint, const TrainingProgram& buffers,
                        Executor& executor);

enum class WeightSource : uint8_t { kEma, kRaw };

// A network's weights from a checkpoint as the arena of `program`.
std::vector<float> read_weights(const std::filesystem::path& checkpoint, WeightSource source,
                                const Program& program);

}  // namespace ddpm
