// The command line of ddpm_sample, and what it means for a model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/sampling/sampler.h"
#include "model/training/trained_model.h"

namespace ddpm {

struct SamplingCommand {
  std::filesystem::path checkpoint;
  WeightSource weights = WeightSource::kEma;
  std::string device = "auto", precision = "auto";
  GpuOptions gpu;

  int64_t count = 64, first = 0;
  int batch = 16;
  uint64_t seed = 0;
  std::filesystem::path initial_noise;

  // See model/sampling/condition.h; the images take them in turn.
  std::vector<std::string> classes, attributes;
  double guidance = 1;

  std::vector<Setting> sampler;  // the flags of sampling_options() that were given: {"eta", "0.5"}
  bool no_clip = false;

  std::filesystem::path grid, npz, png_directory, float_npy, process, animation, metrics;
  int columns = 0, process_images = 8, process_frames = 11;
  Rounding rounding = Rounding::kRound;

  // By name, the options that image i is a function of: all but those on where, how many and how fast.
  std::vector<std::pair<std::string, std::string>> image_options;

  bool wants_process() const { return !process.empty() || !animation.empty(); }
};

// Parses the command line and makes the folders of the files to write. Returns an exit code if the program
// must end at once. InputError for an option's value that makes no sense.
std::optional<int> parse_sampling_command(int argc, char** argv, SamplingCommand& command);

// How to draw images of this model. InputError for a condition that the model does not have.
GenerationOptions generation_options(const SamplingCommand& command, const TrainConfig& config);

}  // namespace ddpm
