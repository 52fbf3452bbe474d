// The command line of ddpm_sample, and what it says about sampling.
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

  std::vector<std::string> classes,
      attributes;  // see model/sampling/condition.h; the images take them in turn
  double guidance = 1;

  std::string sampler = "ddim", spacing, sigmas, final_sigma, variance;
  int steps = 50;
  std::optional<int> order;
  double eta = 0;
  std::optional<double> clip_range, threshold_ratio, threshold_max;
  bool no_clip = false;

  std::filesystem::path grid, npz, png_directory, float_npy, process, animation, metrics;
  int columns = 0, process_images = 8, process_moments = 11;
  Rounding rounding = Rounding::kRound;

  // By name, the options that make image i what it is: all but those on where, how many and how fast.
  std::vector<std::pair<std::string, std::string>> image_options;

  bool wants_process() const { return !process.empty() || !animation.empty(); }
};

// Parses the command line and makes the folders of the files to write. An exit code where the program is to
// end at once; InputError where an option's value makes no sense.
std::optional<int> parse_sampling_command(int argc, char** argv, SamplingCommand& command);

// How the command wants images of this model drawn.
GenerationOptions generation_options(const SamplingCommand& command, const TrainConfig& config);

}  // namespace ddpm
