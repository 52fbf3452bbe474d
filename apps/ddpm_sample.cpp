// ddpm_sample: generates images from a checkpoint, as a grid, single files, an array, and as pictures of the process.
#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "apps/app.h"
#include "apps/command_line.h"
#include "apps/sampling_pictures.h"
#include "data/apng.h"
#include "data/grid.h"
#include "data/npz.h"
#include "data/png.h"
#include "model/checkpoint.h"
#include "model/sampler.h"
#include "model/train_config.h"
#include "support/atomic_file.h"
#include "support/interrupt.h"
#include "support/progress_bar.h"

namespace ddpm {
namespace {

struct CommandLine {
  std::filesystem::path checkpoint;
  std::string weights = "ema", device = "auto";
  int64_t count = 64, first = 0;
  int batch = 16;
  uint64_t seed = 0;

  std::string sampler = "ddim", spacing, variance = "fixed_large";
  int steps = 50;
  double eta = 0, clip_range = 1;
  bool no_clip = false;

  std::filesystem::path grid, npz, png_directory, process, animation;
  int columns = 0, process_images = 8, process_moments = 11;
  std::string rounding = "round";
};

void add_options(CLI::App& app, CommandLine& c) {
  app.add_option("--checkpoint", c.checkpoint, "Folder of a run (its newest checkpoint) or of one checkpoint")
      ->required()
      ->group("Model");
  app.add_option("--weights", c.weights, "ema (averaged) or raw")->capture_default_str()->group("Model");
  app.add_option("--device", c.device, "auto, cpu or cuda")->capture_default_str()->group("Model");

  app.add_option("--count", c.count, "Number of images")->capture_default_str()->group("Images");
  app.add_option("--first", c.first, "Number of the first image: image i is a function of --seed and i")
      ->capture_default_str()
      ->group("Images");
  app.add_option("--seed", c.seed, "Seed of all noise")->capture_default_str()->group("Images");
  app.add_option("--batch", c.batch, "Images at a time; changes no image")->capture_default_str()->group("Images");

  app.add_option("--sampler", c.sampler, "ddim, ddpm or dpmpp_2m")->capture_default_str()->group("Sampler");
  app.add_option("--steps", c.steps, "Network evaluations an image")->capture_default_str()->group("Sampler");
  app.add_option("--eta", c.eta, "ddim: 0 deterministic .. 1 ancestral")->capture_default_str()->group("Sampler");
  app.add_option("--spacing", c.spacing, "leading, trailing, linspace or quadratic (default: leading)")->group("Sampler");
  app.add_option("--variance", c.variance, "ddpm: fixed_small or fixed_large")->capture_default_str()->group("Sampler");
  app.add_option("--clip-range", c.clip_range, "Clip the estimate of the clean image to +- this")
      ->capture_default_str()
      ->group("Sampler");
  app.add_flag("--no-clip", c.no_clip, "Do not clip it")->group("Sampler");

  app.add_option("--grid", c.grid, "PNG of all images")->group("Output (at least one)");
  app.add_option("--columns", c.columns, "Columns of the grid (0: a square)")
      ->capture_default_str()
      ->group("Output (at least one)");
  app.add_option("--png-dir", c.png_directory, "Folder for 000000.png, 000001.png, ...")->group("Output (at least one)");
  app.add_option("--npz", c.npz, "Array arr_0, uint8 (N, H, W, C), as numpy.savez writes it")
      ->group("Output (at least one)");
  app.add_option("--process", c.process, "PNG: the first images at moments of the process, noise on the left")
      ->group("Output (at least one)");
  app.add_option("--animation", c.animation, "Animated PNG of the process")->group("Output (at least one)");
  app.add_option("--process-images", c.process_images, "Rows of --process and images of --animation")
      ->capture_default_str()
      ->group("Output (at least one)");
  app.add_option("--process-moments", c.process_moments, "Columns of --process")
      ->capture_default_str()
      ->group("Output (at least one)");
  app.add_option("--rounding", c.rounding, "To 8 bits: round or truncate")
      ->capture_default_str()
      ->group("Output (at least one)");
}

template <typename Enum>
struct Choice {
  const char* name;
  Enum value;
};
template <typename Enum>
Enum choose(const char* option, const std::string& text, std::initializer_list<Choice<Enum>> choices) {
  std::string names;
  for (const auto& choice : choices) {
    if (text == choice.name) return choice.value;
    names += (names.empty() ? "" : " or ") + std::string(choice.name);
  }
  throw_input("{} {}: choose {}", option, text, names);
}

void check(const CommandLine& c) {
  if (c.grid.empty() && c.npz.empty() && c.png_directory.empty() && c.process.empty() && c.animation.empty())
    throw_input("nothing would be written: give --grid, --png-dir, --npz, --process or --animation");
  if (c.count < 1) throw_input("--count {}: it must be at least 1", c.count);
  if (c.first < 0) throw_input("--first {}: it must not be negative", c.first);
  if (c.batch < 1) throw_input("--batch {}: it must be at least 1", c.batch);
  if (c.process_images < 1) throw_input("--process-images {}: it must be at least 1", c.process_images);
  if (c.process_moments < 2) throw_input("--process-moments {}: it must be at least 2", c.process_moments);
  for (const auto& file : {c.grid, c.npz, c.process, c.animation})
    if (!file.empty() && !file.parent_path().empty()) create_folder(file.parent_path());
}

GenerationOptions generation_options(const CommandLine& c, const TrainConfig& config) {
  GenerationOptions options{.network = config.network,
                            .schedule = config.schedule,
                            .sampler = {},
                            .batch = static_cast<int>(std::min<int64_t>(c.batch, c.count)),
                            .seed = c.seed,
                            .device = resolve_device(parse_device(c.device))};
  options.sampler.method = parse_sampler_method(c.sampler);
  options.sampler.steps = c.steps;
  options.sampler.eta = c.eta;
  options.sampler.variance_type = parse_variance_type(c.variance);
  options.sampler.prediction = config.prediction;
  options.sampler.clip_sample = !c.no_clip;
  options.sampler.clip_sample_range = c.clip_range;
  if (!c.spacing.empty()) options.sampler.timestep_spacing = parse_timestep_spacing(c.spacing);
  return options;
}

int run(int argc, char** argv) {
  CLI::App app("Generates images from a checkpoint of ddpm_train", "ddpm_sample");
  CommandLine command;
  add_options(app, command);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  check(command);
  const Rounding rounding =
      choose<Rounding>("--rounding", command.rounding, {{"round", Rounding::kRound}, {"truncate", Rounding::kTruncate}});
  const WeightSource source =
      choose<WeightSource>("--weights", command.weights, {{"ema", WeightSource::kEma}, {"raw", WeightSource::kRaw}});

  const std::filesystem::path checkpoint = find_checkpoint(command.checkpoint);
  const TrainConfig config = make_train_config(read_checkpoint_state(checkpoint).settings);
  const GenerationOptions options = generation_options(command, config);
  Sampler sampler(options, read_weights(checkpoint, source, unet_program(config.network, 1)));
  install_interrupt_handler();

  const int size = config.network.image_size, channels = config.network.in_channels;
  const bool wants_process = !command.process.empty() || !command.animation.empty();
  SamplingPictures pictures({.images = wants_process ? static_cast<int>(std::min<int64_t>(command.process_images, options.batch)) : 0,
                             .moments = command.process_moments,
                             .steps = sampler.steps(),
                             .size = size,
                             .channels = channels});
  const int64_t batches = (command.count + options.batch - 1) / options.batch;
  ProgressBar bar({.label = "sampling", .total = batches * sampler.steps(),
                   .items_per_step = static_cast<double>(command.count) / static_cast<double>(batches * sampler.steps())});
  std::vector<Image> images;
  for (int64_t batch = 0; batch < batches; ++batch) {
    const int64_t done = batch * options.batch;
    const int count = static_cast<int>(std::min<int64_t>(options.batch, command.count - done));
    const std::vector<float> x = sampler.generate(command.first + done, count, [&](int step, std::span<const float> now) {
      if (batch == 0) pictures.add(step, now);
      bar.update(batch * sampler.steps() + step);
      return !interrupted();
    });
    if (x.empty()) throw Error("interrupted: nothing was written");
    for (Image& image : to_images(x, size, size, channels, rounding)) images.push_back(std::move(image));
  }
  const double seconds = bar.elapsed_s();
  bar.clear();

  const auto written = [](const std::filesystem::path& path) { fmt::print("{}\n", path.string()); };
  if (!command.png_directory.empty()) {
    create_folder(command.png_directory);
    for (size_t i = 0; i < images.size(); ++i)
      write_png(command.png_directory / fmt::format("{:06}.png", command.first + static_cast<int64_t>(i)), images[i]);
    written(command.png_directory);
  }
  if (!command.npz.empty()) {
    std::vector<uint8_t> pixels;
    for (const Image& image : images) pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
    write_npz(command.npz, {.pixels = pixels, .count = command.count, .height = size, .width = size, .channels = channels});
    written(command.npz);
  }
  if (!command.grid.empty()) {
    write_png(command.grid, make_grid(images, {.columns = command.columns}));
    written(command.grid);
  }
  if (!command.process.empty()) {
    write_png(command.process, pictures.strip());
    written(command.process);
  }
  if (!command.animation.empty()) {
    write_apng(command.animation, pictures.animation());
    written(command.animation);
  }
  fmt::print(stderr, "{} images, {} steps each, in {} ({:.2f} images/s)\n", command.count, sampler.steps(),
             format_duration(seconds), static_cast<double>(command.count) / seconds);
  return 0;
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("ddpm_sample", [&] { return ddpm::run(argc, argv); });
}
