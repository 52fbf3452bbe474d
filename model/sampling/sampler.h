// Images from a trained network.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/image.h"
#include "model/sampling/sampling_program.h"
#include "runtime/cpu/cpu_executor.h"

namespace ddpm {

// How values of [-1, 1] become 8 bits. Evaluation tools differ, and published scores depend on it.
enum class Rounding : uint8_t {
  kRound,     // (x/2 + 0.5) * 255 to the nearest: diffusers, torchvision's save_image
  kTruncate,  // (x + 1) * 127.5 without its fraction: guided-diffusion
};

// values (count, H, W, C), clamped to [-1, 1]; one image each.
std::vector<Image> to_images(std::span<const float> values, int height, int width, int channels,
                             Rounding rounding = Rounding::kRound);

// Keeps the program, its buffers and the weights between calls. Image i is a function of the seed, i and the
// options alone, independent of its batch.
class Sampler {
 public:
  // `parameters` is the arena of a network of this configuration (model/weights/parameters.h). The program
  // runs on what `make_executor` makes.
  Sampler(const GenerationOptions& options, std::span<const float> parameters,
          const ExecutorFactory& make_executor = make_cpu_executor);

  // Other weights of the same network.
  void set_parameters(std::span<const float> parameters) { executor_->write_parameters(parameters); }

  // Network evaluations for one batch.
  int steps() const { return static_cast<int>(table_.rows.size()); }
  // The timestep at which a step evaluates the network.
  double timestep(int step) const { return table_.rows.at(static_cast<size_t>(step)).timestep; }

  // The batch's images after the step, (count, H, W, C). Calling it waits for the device.
  using ReadImages = std::function<std::vector<float>()>;
  // Called before the first step (step = 0) and after each (step = 1 .. steps()); a GPU may be up to
  // kStepsAhead steps behind. Returning false gives up.
  using Progress = std::function<bool(int step, const ReadImages& read)>;

  // Images first .. first + count - 1 in [-1, 1], (count, H, W, C); count is at most the batch. Empty if
  // `progress` gave up. A given `initial_noise`, (count, H, W, C) of unit variance, replaces the seed's.
  std::vector<float> generate(int64_t first, int count, const Progress& progress = {},
                              std::span<const float> initial_noise = {});

 private:
  Sampler(const GenerationOptions& options, const SamplerTable& table, std::span<const float> parameters,
          const ExecutorFactory& make_executor);
  Sampler(const GenerationOptions& options, SamplerTable table, SamplingProgram made,
          std::span<const float> parameters, const ExecutorFactory& make_executor);

  void write_conditions(int64_t first);
  void start_from(std::span<const float> initial_noise);

  SamplerTable table_;
  Conditioning conditioning_;
  SamplingBuffers buffers_;
  std::unique_ptr<Executor> executor_;
  size_t image_elements_;
};

}  // namespace ddpm
