#include "apps/sampling_command.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>

#include "apps/command_line.h"
#include "apps/config_flags.h"
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
      "Folder of a run (newest checkpoint), a checkpoint or a diffusers pipeline")
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
  add("--first", c.first, "Index of the first image: image i is a function of --seed and i");
  add("--seed", c.seed, "Seed of all noise");
  add("--batch", c.batch, "Images per batch; does not change the images");
  add("--initial-noise", c.initial_noise,
      "NAME.npy, float32 (N, C, H, W) of unit variance, instead of the noise of --seed");
}

void add_condition_options(CLI::App& app, SamplingCommand& c) {
  const auto add_list = [&](const char* name, std::vector<std::string>& values, const char* help) {
    app.add_option(name, values, help)
        ->type_size(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group("Condition (if repeated, the images take them in turn)");
  };
  add_list("--class", c.classes, "Name or index of a class (default: every class in turn)");
  add_list("--attr", c.attributes,
           "Attributes set and not set, such as Smiling=1,Eyeglasses=0; the others stay open");
  app.add_option("--guidance", c.guidance, "Scale of classifier-free guidance; 1: off")
      ->capture_default_str()
      ->group("Condition (if repeated, the images take them in turn)");
}

// The flags of sampling_options().
class SamplerFlags {
 public:
  // This object must outlive the parsing.
  void add_to(CLI::App& app, bool& no_clip) {
    const TrainConfig defaults;
    for (const ConfigOption& option : sampling_options()) {
      const std::string& flag = option.sample_flag;
      if (has_fixed_default(flag)) texts_[flag] = option.get(defaults);
      flags_[flag] = app.add_option("--" + flag, texts_[flag], option.help)
                         ->capture_default_str()
                         ->type_name(shown_default(flag))
                         ->group("Sampler");
      if (flag == "clip-range")
        app.add_flag("--no-clip", no_clip, "do not clip or threshold that estimate")->group("Sampler");
    }
  }

  std::vector<Setting> given() const {
    std::vector<Setting> settings;
    for (const auto& [flag, option] : flags_)
      if (option->count() > 0) settings.push_back({flag, texts_.at(flag)});
    return settings;
  }

  // In place of the type in the help.
  static const char* shown_default(const std::string& flag) {
    if (has_fixed_default(flag)) return "TEXT";
    return flag == "order" ? "[the method's]" : flag == "threshold-max" ? "[no limit]" : "[the model's]";
  }

  // Whether the flag's default is fixed rather than the model's: training may draw its grids with fewer steps.
  static bool has_fixed_default(const std::string& flag) {
    return flag == "sampler" || flag == "steps" || flag == "eta";
  }

 private:
  std::map<std::string, std::string> texts_;
  std::map<std::string, const CLI::Option*> flags_;
};

bool is_given(const SamplingCommand& command, const char* flag) {
  return std::any_of(command.sampler.begin(), command.sampler.end(),
                     [flag](const Setting& setting) { return setting.key == flag; });
}

// The model's sampler options with the command's changes. InputError for a value that cannot be parsed.
SamplerOptions sampler_options(const SamplingCommand& c, const TrainConfig& model) {
  TrainConfig config = model;
  const TrainConfig defaults;
  for (const ConfigOption& option : sampling_options()) {
    const std::string& flag = option.sample_flag;
    if (SamplerFlags::has_fixed_default(flag)) option.assign(config, option.get(defaults), "--" + flag);
    for (const Setting& setting : c.sampler)
      if (setting.key == flag) option.assign(config, setting.text, "--" + flag);
  }
  SamplerOptions& sampler = config.sampler;
  if (c.no_clip) sampler.clip_sample = sampler.thresholding = false;
  if (is_given(c, "clip-range")) {
    sampler.clip_sample = true;
    sampler.thresholding = false;
  }
  if (is_given(c, "threshold-ratio")) {
    sampler.thresholding = true;
    if (!is_given(c, "threshold-max")) sampler.sample_max_value = std::numeric_limits<double>::infinity();
  }
  return sampler;
}

void add_output_options(CLI::App& app, SamplingCommand& c, Texts& texts) {
  const auto add = [&](const char* name, auto& value, const char* help) {
    app.add_option(name, value, help)->capture_default_str()->group(kOutputGroup);
  };
  add("--grid", c.grid, "PNG of all images");
  add("--columns", c.columns, "Columns of the grid (0: square)");
  add("--png-dir", c.png_directory, "Folder for 000000.png, 000001.png, ...");
  add("--npz", c.npz, "NAME.npz with arr_0, uint8 (N, H, W, C), as numpy.savez writes it");
  add("--float-npy", c.float_npy, "NAME.npy, float32 (N, C, H, W), neither clamped nor rounded");
  add("--process", c.process, "PNG of the denoising process: a row per image, from noise on the left");
  add("--animation", c.animation, "Animated PNG of the denoising process");
  add("--process-images", c.process_images, "Rows of --process and images of --animation");
  add("--process-frames", c.process_frames, "Columns of --process");
  app.add_option("--process-moments", c.process_frames)->group("");  // hidden: its old name
  add("--rounding", texts.rounding, "Conversion to 8 bits: round or truncate");
  add("--metrics", c.metrics, "JSON lines: images per second of each batch");
}

bool changes_images(const CLI::Option& option) {
  constexpr const char* kNone[] = {"--help",  "--checkpoint", "--device", "--precision",
                                   "--count", "--first",      "--batch"};
  const std::string name = option.get_name();
  if (option.get_group().empty()) return false;  // hidden, an old name
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
        "no output was requested: give --grid, --png-dir, --npz, --float-npy, --process or --animation");
  if (c.count < 1) throw_input("--count: expected at least 1, got {}", c.count);
  if (c.first < 0) throw_input("--first: expected at least 0, got {}", c.first);
  if (c.batch < 1) throw_input("--batch: expected at least 1, got {}", c.batch);
  if (c.process_images < 1) throw_input("--process-images: expected at least 1, got {}", c.process_images);
  if (c.process_frames < 2) throw_input("--process-frames: expected at least 2, got {}", c.process_frames);
  if (is_given(c, "threshold-max") && !is_given(c, "threshold-ratio"))
    throw_input("--threshold-max needs --threshold-ratio: give both");
  if (is_given(c, "clip-range") && c.no_clip)
    throw_input("--clip-range and --no-clip exclude each other: give one of them");
  if (is_given(c, "clip-range") && is_given(c, "threshold-ratio"))
    throw_input("--clip-range and --threshold-ratio exclude each other: give one of them");
  sampler_options(c, {});
}

void create_folders(const SamplingCommand& c) {
  for (const auto& file : {c.grid, c.npz, c.float_npy, c.process, c.animation, c.metrics})
    if (!file.empty() && !file.parent_path().empty()) create_folder(file.parent_path());
}

// How to condition the model, after "this model".
const char* kind_of_model(const TrainConfig& config) {
  switch (config.condition.kind) {
    case ConditionKind::kClasses:
      return "is conditional on classes: use --class";
    case ConditionKind::kAttributes:
      return "is conditional on attributes: use --attr";
    case ConditionKind::kNone:
      break;
  }
  return "has no condition: it can be trained with one by ddpm_train --condition";
}

// An imported table of embeddings, whose rows have no names.
bool has_nameless_table(const TrainConfig& config) {
  return config.condition.kind == ConditionKind::kNone &&
         config.network.class_embedding == ClassEmbedding::kTable;
}

// Its rows by number; without --class every one in turn.
Conditioning conditioning_by_number(const SamplingCommand& command, int rows) {
  ConditionOptions numbered{.kind = ConditionKind::kClasses};
  for (int i = 0; i < rows; ++i) numbered.label_names.push_back(std::to_string(i));
  Conditioning conditioning;
  for (const std::string& text : command.classes)
    conditioning.rows.push_back(parse_condition(numbered, text));
  if (conditioning.rows.empty()) conditioning.rows = every_class(numbered);
  // parse_condition adds a column for no condition, which this table may lack.
  for (ConditionRow& row : conditioning.rows) row.pop_back();
  return conditioning;
}

void check_condition(const SamplingCommand& command, const TrainConfig& config) {
  const bool has_classes = !command.classes.empty(), has_attributes = !command.attributes.empty();
  if (has_classes && config.condition.kind != ConditionKind::kClasses && !has_nameless_table(config))
    throw_input("--class {}: this model {}", command.classes.front(), kind_of_model(config));
  if (has_attributes && config.condition.kind != ConditionKind::kAttributes)
    throw_input("--attr {}: this model {}", command.attributes.front(), kind_of_model(config));
  if (!(command.guidance >= 0)) throw_input("--guidance: expected at least 0, got {}", command.guidance);
  if (command.guidance == 1) return;
  if (has_nameless_table(config))
    throw_input(
        "--guidance {}: it is not known which row of this model's table means no condition, so there is "
        "nothing to guide away from",
        command.guidance);
  if (config.condition.kind == ConditionKind::kNone)
    throw_input("--guidance {}: this model {}", command.guidance, kind_of_model(config));
  if (config.condition.dropout == 0)
    throw_input(
        "--guidance {}: this model was trained with condition_dropout = 0, so it has no unconditional output "
        "to guide away from",
        command.guidance);
}

// What --class, --attr and --guidance mean for a model; InputError if they do not fit it. Without --class the
// images of a model of classes take every class in turn; without --attr all attributes are left open.
Conditioning conditioning_of(const SamplingCommand& command, const TrainConfig& config) {
  check_condition(command, config);
  const ConditionOptions& condition = config.condition;
  if (has_nameless_table(config)) return conditioning_by_number(command, config.network.num_class_embeds);
  if (condition.kind == ConditionKind::kNone) return {};
  Conditioning conditioning{.guidance_scale = command.guidance, .none = no_condition(condition)};
  for (const std::vector<std::string>* texts : {&command.classes, &command.attributes})
    for (const std::string& text : *texts) conditioning.rows.push_back(parse_condition(condition, text));
  if (!conditioning.rows.empty()) return conditioning;
  if (condition.kind == ConditionKind::kClasses)
    conditioning.rows = every_class(condition);
  else
    conditioning.rows = {conditioning.none};
  return conditioning;
}

}  // namespace

std::optional<int> parse_sampling_command(int argc, char** argv, SamplingCommand& command) {
  CLI::App app("Generates images from a trained network", "ddpm_sample");
  Texts texts;
  add_model_options(app, command, texts);
  add_image_options(app, command);
  add_condition_options(app, command);
  SamplerFlags sampler;
  sampler.add_to(app, command.no_clip);
  ConfigFlags gpu;
  gpu.add_to(app, is_gpu_option);
  add_output_options(app, command, texts);
  if (const auto code = parse_command_line(app, argc, argv)) return code;
  command.weights = parse_enum(kWeights, "--weights", texts.weights);
  command.rounding = parse_enum(kRoundings, "--rounding", texts.rounding);
  command.gpu = make_train_config(gpu.given()).gpu;
  command.sampler = sampler.given();
  command.image_options = image_options(app);
  check(command);
  create_folders(command);
  return std::nullopt;
}

GenerationOptions generation_options(const SamplingCommand& c, const TrainConfig& config) {
  return {.network = config.network,
          .schedule = config.schedule,
          .sampler = sampler_options(c, config),
          .conditioning = conditioning_of(c, config),
          .batch = static_cast<int>(std::min<int64_t>(c.batch, c.count)),
          .seed = c.seed};
}

}  // namespace ddpm
