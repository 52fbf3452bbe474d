#include "apps/sampling_command.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "apps/command_line.h"
#include "apps/config_flags.h"
#include "apps/sampling_conditions.h"
#include "support/atomic_file.h"
#include "support/enum_names.h"

namespace ddpm {
namespace {

constexpr EnumName<Rounding> kRoundings[] = {{Rounding::kRound, "round"}, {Rounding::kTruncate, "truncate"}};
constexpr EnumName<WeightSource> kWeights[] = {{WeightSource::kEma, "ema"}, {WeightSource::kRaw, "raw"}};

constexpr const char* kOutputGroup = "Output (at least one)";

// Texts that become enums once everything is parsed.
struct Texts {
  std::string weights = "ema", rounding = "round";
};

void add_model_options(CLI::App& app, SamplingCommand& c, Texts& texts) {
  const auto add = [&](const char* name, auto& value, const char* help) {
    return app.add_option(name, value, help)->capture_default_str()->group("Model");
  };
  add("--checkpoint", c.checkpoint,
      "Folder of a run (its newest checkpoint), of one checkpoint, or of diffusers")
      ->required();
  add("--weights", texts.weights, "ema (averaged) or raw");
  add("--device", c.device, "auto, cpu or cuda");
  add("--precision", c.precision, "auto (bf16 on a GPU), fp32 or bf16");
}

void add_image_options(CLI::App& app, SamplingCommand& c) {
  const auto add = [&](const char* name, auto& value, const char* help) {
    return app.add_option(name, value, help)->capture_default_str()->group("Images");
  };
  add("--count", c.count, "Number of images");
  add("--first", c.first, "Number of the first image: image i is a function of --seed and i");
  add("--seed", c.seed, "Seed of all noise");
  add("--batch", c.batch, "Images at a time; changes no image");
  add("--initial-noise", c.initial_noise,
      "NAME.npy, float32 (N, C, H, W) of unit variance, instead of --seed's");
}

void add_condition_options(CLI::App& app, SamplingCommand& c) {
  const auto add_list = [&](const char* name, std::vector<std::string>& values, const char* help) {
    app.add_option(name, values, help)
        ->type_size(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group("Condition (several: the images take them in turn)");
  };
  add_list("--class", c.classes, "Name or number of a class (default: every class)");
  add_list("--attr", c.attributes,
           "Smiling=1,Eyeglasses=0: attributes set and not set; the others are left open");
  app.add_option("--guidance", c.guidance, "Scale of classifier-free guidance; 1: none")
      ->capture_default_str()
      ->group("Condition (several: the images take them in turn)");
}

void add_sampler_options(CLI::App& app, SamplingCommand& c) {
  const auto add = [&](const char* name, auto& value, const std::string& help) {
    app.add_option(name, value, help)->capture_default_str()->group("Sampler");
  };
  add("--sampler", c.sampler, sampler_method_names());
  add("--steps", c.steps, "Steps an image: an evaluation of the network each, two for heun");
  add("--eta", c.eta, "ddim: 0 deterministic .. 1 ancestral");
  add("--spacing", c.spacing, "leading, trailing, linspace or quadratic (default: the model's)");
  add("--sigmas", c.sigmas,
      "Noise levels of all but ddpm and ddim: timesteps, karras or exponential (default: timesteps)");
  add("--final-sigma", c.final_sigma, "The last of them: zero or sigma_min (default: zero)");
  add("--order", c.order, "dpmpp_2m: 1 to 3, dpmpp_2m_sde: 1 or 2, unipc: 1 to 3 (default: 2)");
  add("--variance", c.variance, "ddpm: fixed_small or fixed_large (default: the model's)");
  add("--clip-range", c.clip_range, "Clip the estimate of the clean image to +- this (default: the model's)");
  app.add_flag("--no-clip", c.no_clip, "Do not clip it")->group("Sampler");
  add("--threshold-ratio", c.threshold_ratio, "Dynamic thresholding instead: at this quantile, e.g. 0.995");
  add("--threshold-max", c.threshold_max, "and at most at this (default: no limit)");
}

void add_output_options(CLI::App& app, SamplingCommand& c, Texts& texts) {
  const auto add = [&](const char* name, auto& value, const char* help) {
    app.add_option(name, value, help)->capture_default_str()->group(kOutputGroup);
  };
  add("--grid", c.grid, "PNG of all images");
  add("--columns", c.columns, "Columns of the grid (0: a square)");
  add("--png-dir", c.png_directory, "Folder for 000000.png, 000001.png, ...");
  add("--npz", c.npz, "Array arr_0, uint8 (N, H, W, C), as numpy.savez writes it");
  add("--float-npy", c.float_npy, "Array NAME.npy, float32 (N, C, H, W), neither clipped nor rounded");
  add("--process", c.process, "PNG: the first images at moments of the process, noise on the left");
  add("--animation", c.animation, "Animated PNG of the process");
  add("--process-images", c.process_images, "Rows of --process and images of --animation");
  add("--process-moments", c.process_moments, "Columns of --process");
  add("--rounding", texts.rounding, "To 8 bits: round or truncate");
  add("--metrics", c.metrics, "JSON lines: images a second of each batch");
}

bool changes_images(const CLI::Option& option) {
  constexpr const char* kNone[] = {"--help",  "--checkpoint", "--device", "--precision",
                                   "--count", "--first",      "--batch"};
  const std::string name = option.get_name();
  if (option.get_group() == kOutputGroup) return name == "--rounding";
  if (option.get_group() == "gpu") return false;  // but for the last bits, as --device and --batch
  return std::find(std::begin(kNone), std::end(kNone), name) == std::end(kNone);
}

std::vector<std::pair<std::string, std::string>> image_options(const CLI::App& app) {
  std::vector<std::pair<std::string, std::string>> options;
  for (const CLI::Option* option : app.get_options())
    if (changes_images(*option))
      options.emplace_back(option->get_name().substr(2),
                           option->count() > 0 ? fmt::format("{}", fmt::join(option->results(), ";"))
                                               : option->get_default_str());
  return options;
}

void check(const SamplingCommand& c) {
  const auto outputs = {c.grid, c.npz, c.png_directory, c.float_npy, c.process, c.animation};
  if (std::all_of(outputs.begin(), outputs.end(), [](const auto& path) { return path.empty(); }))
    throw_input(
        "nothing would be written: give --grid, --png-dir, --npz, --float-npy, --process or --animation");
  if (c.count < 1) throw_input("--count {}: it must be at least 1", c.count);
  if (c.first < 0) throw_input("--first {}: it must not be negative", c.first);
  if (c.batch < 1) throw_input("--batch {}: it must be at least 1", c.batch);
  if (c.process_images < 1) throw_input("--process-images {}: it must be at least 1", c.process_images);
  if (c.process_moments < 2) throw_input("--process-moments {}: it must be at least 2", c.process_moments);
  if (c.threshold_max && !c.threshold_ratio)
    throw_input("--threshold-max {}: give --threshold-ratio too", *c.threshold_max);
}

void create_folders(const SamplingCommand& c) {
  for (const auto& file : {c.grid, c.npz, c.float_npy, c.process, c.animation, c.metrics})
    if (!file.empty() && !file.parent_path().empty()) create_folder(file.parent_path());
}

}  // namespace

std::optional<int> parse_sampling_command(int argc, char** argv, SamplingCommand& command) {
  CLI::App app("Generates images from a checkpoint of ddpm_train", "ddpm_sample");
  Texts texts;
  add_model_options(app, command, texts);
  add_image_options(app, command);
  add_condition_options(app, command);
  add_sampler_options(app, command);
  ConfigFlags gpu;
  gpu.add_to(app, is_gpu_option);
  add_output_options(app, command, texts);
  if (const auto code = parse_command_line(app, argc, argv)) return code;
  command.weights = parse_enum(kWeights, "--weights", texts.weights);
  command.rounding = parse_enum(kRoundings, "--rounding", texts.rounding);
  command.gpu = make_train_config(gpu.given()).gpu;
  command.image_options = image_options(app);
  check(command);
  create_folders(command);
  return std::nullopt;
}

GenerationOptions generation_options(const SamplingCommand& c, const TrainConfig& config) {
  GenerationOptions options{.network = config.network,
                            .schedule = config.schedule,
                            .sampler = config.sampler,
                            .conditioning = conditioning_of(c, config),
                            .batch = static_cast<int>(std::min<int64_t>(c.batch, c.count)),
                            .seed = c.seed};
  SamplerOptions& sampler = options.sampler;
  sampler.method = parse_sampler_method(c.sampler);
  sampler.steps = c.steps;
  sampler.eta = c.eta;
  sampler.prediction = config.prediction;
  if (!c.spacing.empty()) sampler.timestep_spacing = parse_timestep_spacing(c.spacing);
  if (!c.variance.empty()) sampler.variance_type = parse_variance_type(c.variance);
  if (!c.sigmas.empty()) sampler.sigma_spacing = parse_sigma_spacing(c.sigmas);
  if (!c.final_sigma.empty()) sampler.final_sigma = parse_final_sigma(c.final_sigma);
  if (c.order) sampler.solver_order = *c.order;
  if (c.no_clip) sampler.clip_sample = sampler.thresholding = false;
  if (c.clip_range) sampler.clip_sample_range = *c.clip_range;
  if (c.threshold_ratio) {
    sampler.thresholding = true;
    sampler.dynamic_thresholding_ratio = *c.threshold_ratio;
    sampler.sample_max_value = c.threshold_max.value_or(std::numeric_limits<double>::infinity());
  }
  return options;
}

}  // namespace ddpm
