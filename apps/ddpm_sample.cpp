// ddpm_sample: generates images from a checkpoint, as a grid, single files, an array, and as pictures of the
// process.
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "apps/app.h"
#include "apps/command_line.h"
#include "apps/image_folder_record.h"
#include "apps/image_stream.h"
#include "apps/sampling_pictures.h"
#include "data/apng.h"
#include "data/content_hash.h"
#include "data/grid.h"
#include "data/npy.h"
#include "data/npz.h"
#include "data/png.h"
#include "data/tensor_order.h"
#include "model/sampler.h"
#include "model/trained_model.h"
#include "runtime/executors.h"
#include "support/atomic_file.h"
#include "support/interrupt.h"
#include "support/progress_bar.h"

namespace ddpm {
namespace {

constexpr const char* kOutputGroup = "Output (at least one)";

struct CommandLine {
  std::filesystem::path checkpoint, initial_noise, float_npy;
  std::string weights = "ema", device = "auto", precision = "auto";
  int64_t count = 64, first = 0;
  int batch = 16;
  uint64_t seed = 0;

  std::string sampler = "ddim", spacing, variance;
  int steps = 50;
  double eta = 0;
  std::optional<double> clip_range;
  bool no_clip = false;

  std::filesystem::path grid, npz, png_directory, process, animation;
  int columns = 0, process_images = 8, process_moments = 11;
  std::string rounding = "round";
};

void add_options(CLI::App& app, CommandLine& c) {
  app.add_option("--checkpoint", c.checkpoint,
                 "Folder of a run (its newest checkpoint), of one checkpoint, or of diffusers")
      ->required()
      ->group("Model");
  app.add_option("--weights", c.weights, "ema (averaged) or raw")->capture_default_str()->group("Model");
  app.add_option("--device", c.device, "auto, cpu or cuda")->capture_default_str()->group("Model");
  app.add_option("--precision", c.precision, "auto (bf16 on a GPU), fp32 or bf16")
      ->capture_default_str()
      ->group("Model");

  app.add_option("--count", c.count, "Number of images")->capture_default_str()->group("Images");
  app.add_option("--first", c.first, "Number of the first image: image i is a function of --seed and i")
      ->capture_default_str()
      ->group("Images");
  app.add_option("--seed", c.seed, "Seed of all noise")->capture_default_str()->group("Images");
  app.add_option("--initial-noise", c.initial_noise,
                 "NAME.npy, float32 (N, C, H, W) of unit variance, to start from instead of --seed's noise")
      ->group("Images");
  app.add_option("--batch", c.batch, "Images at a time; changes no image")
      ->capture_default_str()
      ->group("Images");

  app.add_option("--sampler", c.sampler, "ddim, ddpm or dpmpp_2m")->capture_default_str()->group("Sampler");
  app.add_option("--steps", c.steps, "Network evaluations an image")->capture_default_str()->group("Sampler");
  app.add_option("--eta", c.eta, "ddim: 0 deterministic .. 1 ancestral")
      ->capture_default_str()
      ->group("Sampler");
  app.add_option("--spacing", c.spacing, "leading, trailing, linspace or quadratic (default: the model's)")
      ->group("Sampler");
  app.add_option("--variance", c.variance, "ddpm: fixed_small or fixed_large (default: the model's)")
      ->group("Sampler");
  app.add_option("--clip-range", c.clip_range,
                 "Clip the estimate of the clean image to +- this (default: the model's)")
      ->group("Sampler");
  app.add_flag("--no-clip", c.no_clip, "Do not clip it")->group("Sampler");

  app.add_option("--grid", c.grid, "PNG of all images")->group(kOutputGroup);
  app.add_option("--columns", c.columns, "Columns of the grid (0: a square)")
      ->capture_default_str()
      ->group(kOutputGroup);
  app.add_option("--png-dir", c.png_directory, "Folder for 000000.png, 000001.png, ...")->group(kOutputGroup);
  app.add_option("--npz", c.npz, "Array arr_0, uint8 (N, H, W, C), as numpy.savez writes it")
      ->group(kOutputGroup);
  app.add_option("--float-npy", c.float_npy,
                 "Array NAME.npy, float32 (N, C, H, W), neither clipped nor rounded")
      ->group(kOutputGroup);
  app.add_option("--process", c.process, "PNG: the first images at moments of the process, noise on the left")
      ->group(kOutputGroup);
  app.add_option("--animation", c.animation, "Animated PNG of the process")->group(kOutputGroup);
  app.add_option("--process-images", c.process_images, "Rows of --process and images of --animation")
      ->capture_default_str()
      ->group(kOutputGroup);
  app.add_option("--process-moments", c.process_moments, "Columns of --process")
      ->capture_default_str()
      ->group(kOutputGroup);
  app.add_option("--rounding", c.rounding, "To 8 bits: round or truncate")
      ->capture_default_str()
      ->group(kOutputGroup);
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
  if (c.grid.empty() && c.npz.empty() && c.png_directory.empty() && c.float_npy.empty() &&
      c.process.empty() && c.animation.empty())
    throw_input(
        "nothing would be written: give --grid, --png-dir, --npz, --float-npy, --process or --animation");
  if (c.count < 1) throw_input("--count {}: it must be at least 1", c.count);
  if (c.first < 0) throw_input("--first {}: it must not be negative", c.first);
  if (c.batch < 1) throw_input("--batch {}: it must be at least 1", c.batch);
  if (c.process_images < 1) throw_input("--process-images {}: it must be at least 1", c.process_images);
  if (c.process_moments < 2) throw_input("--process-moments {}: it must be at least 2", c.process_moments);
  for (const auto& file : {c.grid, c.npz, c.float_npy, c.process, c.animation})
    if (!file.empty() && !file.parent_path().empty()) create_folder(file.parent_path());
}

GenerationOptions generation_options(const CommandLine& c, const TrainConfig& config) {
  GenerationOptions options{.network = config.network,
                            .schedule = config.schedule,
                            .sampler = config.sampler,
                            .batch = static_cast<int>(std::min<int64_t>(c.batch, c.count)),
                            .seed = c.seed};
  options.sampler.method = parse_sampler_method(c.sampler);
  options.sampler.steps = c.steps;
  options.sampler.eta = c.eta;
  if (!c.variance.empty()) options.sampler.variance_type = parse_variance_type(c.variance);
  options.sampler.prediction = config.prediction;
  if (c.no_clip) options.sampler.clip_sample = false;
  if (c.clip_range) options.sampler.clip_sample_range = *c.clip_range;
  if (!c.spacing.empty()) options.sampler.timestep_spacing = parse_timestep_spacing(c.spacing);
  return options;
}

// (count, H, W, C); empty where --initial-noise was not given.
std::vector<float> read_initial_noise(const CommandLine& c, const UnetConfig& network) {
  if (c.initial_noise.empty()) return {};
  const auto array = read_npy<float>(c.initial_noise);
  const std::vector<int64_t> wanted{c.count, network.in_channels, network.image_size, network.image_size};
  if (array.shape != wanted)
    throw_input("--initial-noise {} has shape ({}), but --count and the network want ({})",
                c.initial_noise.string(), fmt::join(array.shape, ", "), fmt::join(wanted, ", "));
  return channels_last(array.values, array.shape);
}

// Everything that makes image i what it is: the weights, and all options but those on where, how many and how
// fast.
std::string record_of(const CLI::App& app, std::span<const float> parameters, ComputePrecision precision) {
  nlohmann::ordered_json record = {{"program", "ddpm_sample"},
                                   {"weights", content_hash(parameters.data(), parameters.size_bytes())}};
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    const bool changes_no_image = name == "--help" || name == "--checkpoint" || name == "--device" ||
                                  name == "--precision" || name == "--count" || name == "--first" ||
                                  name == "--batch" ||
                                  (option->get_group() == kOutputGroup && name != "--rounding");
    if (changes_no_image) continue;
    const std::string text = option->count() > 0 ? fmt::format("{}", fmt::join(option->results(), ","))
                                                 : option->get_default_str();
    record["options"][name.substr(2)] = text;
  }
  // What was computed in, not what was asked for; fp32 goes without saying.
  if (precision != ComputePrecision::kFp32) record["options"]["precision"] = precision_name(precision);
  return record.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

int64_t count_images(const std::filesystem::path& folder) {
  return std::count_if(std::filesystem::directory_iterator(folder), {},
                       [](const auto& entry) { return entry.path().extension() == ".png"; });
}

std::string interruption_message(const CommandLine& c) {
  if (c.png_directory.empty()) return "interrupted: nothing was written";
  return fmt::format("interrupted: {} holds {} images; the same command goes on from there",
                     c.png_directory.string(), count_images(c.png_directory));
}

// An evaluation tool takes all images of a folder, wanted or not.
void note_other_images(const std::filesystem::path& folder, int64_t wanted) {
  const int64_t found = count_images(folder);
  if (found != wanted)
    fmt::print(stderr, "{} holds {} images: others than the {} of this command are among them\n",
               folder.string(), found, wanted);
}

int run(int argc, char** argv) {
  CLI::App app("Generates images from a checkpoint of ddpm_train", "ddpm_sample");
  CommandLine command;
  add_options(app, command);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  check(command);
  const Rounding rounding = choose<Rounding>(
      "--rounding", command.rounding, {{"round", Rounding::kRound}, {"truncate", Rounding::kTruncate}});
  const WeightSource source = choose<WeightSource>(
      "--weights", command.weights, {{"ema", WeightSource::kEma}, {"raw", WeightSource::kRaw}});

  const TrainedModel model = open_trained_model(command.checkpoint);
  const TrainConfig& config = model.config;
  const GenerationOptions options = generation_options(command, config);
  const std::vector<float> parameters = read_weights(model, source, unet_program(config.network, 1));
  const ExecutorChoice executors =
      choose_executor(parse_device(command.device), parse_precision(command.precision));
  Sampler sampler(options, parameters, make_executors(executors));
  install_interrupt_handler();

  const int size = config.network.image_size, channels = config.network.in_channels;
  const bool wants_process = !command.process.empty() || !command.animation.empty();
  SamplingPictures pictures(
      {.images =
           wants_process ? static_cast<int>(std::min<int64_t>(command.process_images, options.batch)) : 0,
       .moments = command.process_moments,
       .steps = sampler.steps(),
       .size = size,
       .channels = channels});
  const std::vector<float> initial_noise = read_initial_noise(command, config.network);
  const size_t image_elements = static_cast<size_t>(size) * size * channels;
  if (!command.png_directory.empty())
    claim_image_folder(command.png_directory, record_of(app, parameters, executors.precision));
  // What only the drawing itself shows cannot come from images that exist already.
  const bool must_draw = wants_process || !command.float_npy.empty();
  std::vector<float> values;  // of --float-npy
  int64_t drawn = 0;
  std::optional<ProgressBar> bar;
  ImageStream stream(
      {.first = command.first,
       .count = command.count,
       .batch = options.batch,
       .folder = command.png_directory,
       .existing = must_draw ? ExistingImages::kAreDrawnAgain : ExistingImages::kAreKept},
      [&](int64_t first, int count) {
        const std::span<const float> noise(initial_noise);
        const std::vector<float> x = sampler.generate(
            first, count,
            [&](int step, std::span<const float> now) {
              if (first == command.first) pictures.add(step, now);
              bar->update(drawn * sampler.steps() + static_cast<int64_t>(step) * count);
              return !interrupted();
            },
            noise.empty() ? noise
                          : noise.subspan((first - command.first) * image_elements, count * image_elements));
        if (x.empty()) throw Error(interruption_message(command));
        drawn += count;
        if (!command.float_npy.empty()) values.insert(values.end(), x.begin(), x.end());
        return to_images(x, size, size, channels, rounding);
      });
  bar.emplace(ProgressOptions{.label = "sampling",
                              .total = stream.to_draw() * sampler.steps(),
                              .items_per_step = 1.0 / sampler.steps()});

  const auto written = [](const std::filesystem::path& path) { fmt::print("{}\n", path.string()); };
  std::vector<Image> grid;
  const auto next_image = [&] {
    Image image = stream.next();
    if (!command.grid.empty()) grid.push_back(image);
    return image;
  };
  if (!command.npz.empty())
    write_npz(command.npz, {.image = [&](int64_t) { return next_image().pixels; },
                            .count = command.count,
                            .height = size,
                            .width = size,
                            .channels = channels});
  else if (!command.grid.empty())
    for (int64_t i = 0; i < command.count; ++i) next_image();
  else
    stream.draw_all();
  const double seconds = bar->elapsed_s();
  bar->clear();

  if (!command.npz.empty()) {
    write_file_atomically(record_path(command.npz), record_of(app, parameters, executors.precision));
    written(command.npz);
  }
  if (!command.png_directory.empty()) {
    written(command.png_directory);
    note_other_images(command.png_directory, command.count);
  }
  if (!command.float_npy.empty()) {
    const std::vector<int64_t> shape{command.count, channels, size, size};
    write_npy<float>(command.float_npy, channels_first(values, shape), shape);
    written(command.float_npy);
  }
  if (!command.grid.empty()) {
    write_png(command.grid, make_grid(grid, {.columns = command.columns}));
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
  fmt::print(stderr, "{} images, {} steps each, in {} ({:.2f} images/s)", drawn, sampler.steps(),
             format_duration(seconds), static_cast<double>(drawn) / std::max(seconds, 1e-9));
  fmt::print(stderr, "{}\n",
             drawn < command.count ? fmt::format("; {} were there already", command.count - drawn) : "");
  return 0;
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("ddpm_sample", [&] { return ddpm::run(argc, argv); });
}
