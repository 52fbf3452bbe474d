#include "model/training/train_config.h"

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>

#include "support/atomic_file.h"
#include "support/enum_names.h"

namespace ddpm {
namespace {

using Kind = ConfigOption::Kind;

constexpr EnumName<DataPlacement> kDataPlacements[] = {{DataPlacement::kAuto, "auto"},
                                                       {DataPlacement::kResident, "resident"},
                                                       {DataPlacement::kStreamed, "streamed"}};
constexpr EnumName<Prediction> kPredictions[] = {{Prediction::kEpsilon, "epsilon"},
                                                 {Prediction::kSample, "sample"},
                                                 {Prediction::kVelocity, "v_prediction"}};
constexpr EnumName<LossReduction> kReductions[] = {{LossReduction::kMean, "mean"},
                                                   {LossReduction::kSum, "sum"}};
constexpr EnumName<LossWeighting> kWeightings[] = {{LossWeighting::kNone, "none"},
                                                   {LossWeighting::kMinSnr, "min_snr"}};
constexpr EnumName<ConditionKind> kConditions[] = {{ConditionKind::kNone, "none"},
                                                   {ConditionKind::kClasses, "classes"},
                                                   {ConditionKind::kAttributes, "attributes"}};
constexpr EnumName<TimestepDraw> kDraws[] = {{TimestepDraw::kUniform, "uniform"},
                                             {TimestepDraw::kAntithetic, "antithetic"}};
constexpr EnumName<TimeEmbeddingOrder> kOrders[] = {{TimeEmbeddingOrder::kSinCos, "sin_cos"},
                                                    {TimeEmbeddingOrder::kCosSin, "cos_sin"}};
constexpr EnumName<TimeModulation> kModulations[] = {{TimeModulation::kShift, "default"},
                                                     {TimeModulation::kScaleShift, "scale_shift"}};
constexpr EnumName<Downsampling> kDownsamplings[] = {{Downsampling::kPadAfter, "pad_after"},
                                                     {Downsampling::kPadAround, "pad_around"}};
constexpr EnumName<Initialisation> kInitialisations[] = {{Initialisation::kHo, "ho"},
                                                         {Initialisation::kPyTorch, "pytorch"}};

constexpr EnumName<TimeEmbeddingType> kTimeEmbeddings[] = {{TimeEmbeddingType::kPositional, "positional"},
                                                           {TimeEmbeddingType::kFourier, "fourier"},
                                                           {TimeEmbeddingType::kLearned, "learned"}};
constexpr EnumName<ClassEmbedding> kClassEmbeddings[] = {{ClassEmbedding::kNone, "none"},
                                                         {ClassEmbedding::kTable, "table"},
                                                         {ClassEmbedding::kTimestep, "timestep"},
                                                         {ClassEmbedding::kIdentity, "identity"}};
constexpr EnumName<UpsampleForm> kUpsampleForms[] = {
    {UpsampleForm::kAuto, "auto"}, {UpsampleForm::kFolded, "folded"}, {UpsampleForm::kNearest, "nearest"}};
constexpr EnumName<PlanChoice> kPlanChoices[] = {{PlanChoice::kMeasured, "measured"},
                                                 {PlanChoice::kFirstProposed, "first"}};
constexpr EnumName<PlanCheck> kPlanChecks[] = {
    {PlanCheck::kRefuse, "refuse"}, {PlanCheck::kWarn, "warn"}, {PlanCheck::kOff, "off"}};
constexpr EnumName<TerminalSnr> kTerminalSnrs[] = {{TerminalSnr::kAsScheduled, "as_scheduled"},
                                                   {TerminalSnr::kZero, "zero"}};

// ---- a value as text and back, by type ----

[[noreturn]] void refuse(const std::string& key, const std::string& text, const char* wanted) {
  throw_input("{} = '{}': {} is wanted", key, text, wanted);
}

template <typename Number>
Number parse_number(const std::string& key, const std::string& text, const char* wanted) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, number);
  if (code != std::errc() || stop != end) refuse(key, text, wanted);
  return number;
}

void parse(const std::string&, const std::string& text, std::string& value) { value = text; }
void parse(const std::string& key, const std::string& text, int& value) {
  value = parse_number<int>(key, text, "a whole number");
}
void parse(const std::string& key, const std::string& text, int64_t& value) {
  value = parse_number<int64_t>(key, text, "a whole number");
}
void parse(const std::string& key, const std::string& text, uint64_t& value) {
  value = parse_number<uint64_t>(key, text, "a whole number that is not negative");
}
void parse(const std::string& key, const std::string& text, double& value) {
  value = parse_number<double>(key, text, "a number");
  if (!std::isfinite(value)) refuse(key, text, "a finite number");
}
void parse(const std::string& key, const std::string& text, bool& value) {
  if (text != "true" && text != "false") refuse(key, text, "true or false");
  value = text == "true";
}
void parse(const std::string&, const std::string& text, Device& value) { value = parse_device(text); }
void parse(const std::string&, const std::string& text, ComputePrecision& value) {
  value = parse_precision(text);
}
void parse(const std::string&, const std::string& text, BetaSchedule& value) {
  value = parse_beta_schedule(text);
}
void parse(const std::string&, const std::string& text, SamplerMethod& value) {
  value = parse_sampler_method(text);
}
void parse(const std::string&, const std::string& text, TimestepSpacing& value) {
  value = parse_timestep_spacing(text);
}
void parse(const std::string&, const std::string& text, VarianceType& value) {
  value = parse_variance_type(text);
}

std::string format(const std::string& value) { return value; }
std::string format(bool value) { return value ? "true" : "false"; }
std::string format(int value) { return std::to_string(value); }
std::string format(int64_t value) { return std::to_string(value); }
std::string format(uint64_t value) { return std::to_string(value); }
std::string format(double value) {
  return fmt::format("{}", value);
}  // shortest text that reads back the same
std::string format(Device value) { return std::string(device_name(value)); }
std::string format(ComputePrecision value) { return std::string(precision_name(value)); }
std::string format(BetaSchedule value) { return std::string(beta_schedule_name(value)); }
std::string format(SamplerMethod value) { return std::string(sampler_method_name(value)); }
std::string format(TimestepSpacing value) { return std::string(timestep_spacing_name(value)); }
std::string format(VarianceType value) { return std::string(variance_type_name(value)); }

template <typename Value>
void parse(const std::string& key, const std::string& text, std::vector<Value>& values) {
  values.clear();
  if (text.ends_with(',')) refuse(key, text, "a list without a comma at its end");
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    Value value{};
    parse(key, part, value);
    values.push_back(value);
  }
}
template <typename Value>
std::string format(const std::vector<Value>& values) {
  std::string text;
  for (const Value& value : values) text += (text.empty() ? "" : ",") + format(value);
  return text;
}

template <typename Value>
constexpr Kind kind_of() {
  if constexpr (std::is_same_v<Value, bool>) return Kind::kBoolean;
  if constexpr (std::is_arithmetic_v<Value>) return Kind::kNumber;
  if constexpr (std::is_same_v<Value, std::vector<int>> || std::is_same_v<Value, std::vector<bool>> ||
                std::is_same_v<Value, std::vector<double>>)
    return Kind::kList;
  if constexpr (std::is_same_v<Value, std::vector<std::string>>) return Kind::kTextList;
  return Kind::kText;
}

// An option whose value `access` finds in a configuration.
template <typename Access>
ConfigOption option(const char* group, const char* key, const Access& access, std::string help) {
  using Value = std::decay_t<decltype(access(std::declval<TrainConfig&>()))>;
  return {group,
          key,
          std::move(help),
          kind_of<Value>(),
          [access](const TrainConfig& config) { return format(access(config)); },
          [access, name = std::string(key)](TrainConfig& config, const std::string& text) {
            parse(name, text, access(config));
          }};
}

// The same for an enum given by its table of names, which the help lists.
template <typename Enum, size_t N, typename Access>
ConfigOption choice(const char* group, const char* key, const EnumName<Enum> (&table)[N],
                    const Access& access, const char* help) {
  std::string names;
  for (const auto& entry : table) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return {
      group,
      key,
      fmt::format("{}: {}", help, names),
      Kind::kText,
      [access, &table](const TrainConfig& config) { return std::string(enum_name(table, access(config))); },
      [access, &table, name = std::string(key)](TrainConfig& config, const std::string& text) {
        access(config) = parse_enum(table, name, text);
      }};
}

// NOLINTBEGIN(bugprone-macro-parentheses): a member's name takes none
#define MEMBER(path) \
  [](auto& config) -> auto& { return config.path; }
// NOLINTEND(bugprone-macro-parentheses)

std::vector<ConfigOption> run_options() {
  return {
      option("run", "preset", MEMBER(preset),
             "network and recipe to start from (custom: none); every other option overrides it"),
      option("run", "data", MEMBER(data), "data set, NAME.npy (see ddpm_data)"),
      option("run", "out", MEMBER(out), "folder of the run"),
      option("run", "steps", MEMBER(steps), "optimiser steps in all"),
      option("run", "batch", MEMBER(batch), "images a step"),
      option("run", "seed", MEMBER(seed), "of everything random"),
      option("run", "device", MEMBER(device), "auto, cpu, cuda"),
      option("run", "precision", MEMBER(precision), "auto (bf16 on a GPU), fp32, bf16"),
      choice("run", "data_placement", kDataPlacements, MEMBER(data_placement),
             "where the images are (auto: resident where they take at most half of a GPU's free memory)"),
  };
}

std::vector<ConfigOption> gpu_options() {
  return {
      choice("gpu", "plan_choice", kPlanChoices, MEMBER(gpu.plan_choice),
             "the fastest way to compute each product, or the first that the libraries propose"),
      choice("gpu", "plan_check", kPlanChecks, MEMBER(gpu.plan_check),
             "a plan whose results are wrong, or not the same twice, is refused, used with a warning, or not "
             "looked "
             "for"),
      option("gpu", "plan_cache", MEMBER(gpu.plan_cache),
             "file where measured plans are kept; default: in your cache folder, none: nowhere"),
      option("gpu", "workspace_mb", MEMBER(gpu.workspace_mb),
             "memory in MiB that a plan may take at the most"),
      choice("gpu", "upsample", kUpsampleForms, MEMBER(gpu.upsample),
             "how upsampling convolutions are computed (auto: as is fastest, layer by layer)"),
  };
}

std::vector<ConfigOption> network_options() {
  return {
      option("network", "image_size", MEMBER(network.image_size), "height and width in pixels"),
      option("network", "in_channels", MEMBER(network.in_channels), "of the images"),
      option("network", "center_input_sample", MEMBER(network.center_input_sample),
             "the network sees 2x - 1 of its input x"),
      option("network", "block_out_channels", MEMBER(network.block_out_channels),
             "channels by level, finest first"),
      option("network", "attention", MEMBER(network.attention), "true where a level has attention"),
      option("network", "attention_up", MEMBER(network.attention_up),
             "the same for the way up; none: as on the way down"),
      option("network", "resnet_downsampling", MEMBER(network.resnet_downsampling),
             "true where a residual block halves a level; none: nowhere"),
      option("network", "resnet_upsampling", MEMBER(network.resnet_upsampling), "the same for the way up"),
      option("network", "mid_block", MEMBER(network.mid_block), "residual blocks in the middle"),
      option("network", "mid_block_scale_factor", MEMBER(network.mid_block_scale_factor),
             "divides the sums in the middle"),
      option("network", "mid_attention", MEMBER(network.mid_attention), "attention in the middle"),
      option("network", "layers_per_block", MEMBER(network.layers_per_block), "residual blocks by level"),
      option("network", "attention_head_dim", MEMBER(network.attention_head_dim),
             "channels a head; 0: one head"),
      option("network", "norm_num_groups", MEMBER(network.norm_num_groups), "groups of the normalisation"),
      option("network", "attn_norm_num_groups", MEMBER(network.attn_norm_num_groups),
             "of the attention in the middle; 0: norm_num_groups, or none with scale_shift"),
      option("network", "norm_eps", MEMBER(network.norm_eps), "added to the variance"),
      choice("network", "time_embedding_type", kTimeEmbeddings, MEMBER(network.time_embedding_type),
             "what stands for the time"),
      option("network", "time_embedding_dim", MEMBER(network.time_embedding_dim),
             "width of the embedding; 0: four times the first channels"),
      option("network", "num_train_timesteps", MEMBER(network.num_train_timesteps),
             "rows of a learned time embedding"),
      choice("network", "class_embedding", kClassEmbeddings, MEMBER(network.class_embedding),
             "what the network is told beside the time"),
      option("network", "num_class_embeds", MEMBER(network.num_class_embeds),
             "classes or attributes of the table"),
      choice("network", "time_embedding_order", kOrders, MEMBER(network.time_embedding_order),
             "of the sinusoids"),
      option("network", "freq_shift", MEMBER(network.freq_shift), "1: Ho et al., 0: OpenAI"),
      choice("network", "time_modulation", kModulations, MEMBER(network.time_modulation), "how time enters"),
      choice("network", "downsampling", kDownsamplings, MEMBER(network.downsampling),
             "zeros of the stride-2 layers"),
      choice("network", "initialisation", kInitialisations, MEMBER(network.initialisation), "of the weights"),
  };
}

std::vector<ConfigOption> diffusion_options() {
  return {
      option("diffusion", "timesteps", MEMBER(schedule.timesteps), "T"),
      option("diffusion", "beta_schedule", MEMBER(schedule.beta_schedule),
             "linear, scaled_linear, squaredcos_cap_v2, sigmoid"),
      option("diffusion", "beta_start", MEMBER(schedule.beta_start), "of the first timestep"),
      option("diffusion", "beta_end", MEMBER(schedule.beta_end), "of the last timestep"),
      option("diffusion", "trained_betas", MEMBER(schedule.trained_betas),
             "instead of a schedule, a beta for each timestep; none: the schedule"),
      choice("diffusion", "terminal_snr", kTerminalSnrs, MEMBER(schedule.terminal_snr),
             "signal left at the last timestep"),
      choice("diffusion", "prediction", kPredictions, MEMBER(prediction), "what the network predicts"),
      choice("diffusion", "loss_reduction", kReductions, MEMBER(loss_reduction), "over an image's elements"),
      choice("diffusion", "loss_weighting", kWeightings, MEMBER(loss_weighting), "of the timesteps"),
      option("diffusion", "min_snr_gamma", MEMBER(min_snr_gamma),
             "most that a timestep's SNR counts; min_snr alone"),
      choice("diffusion", "timestep_draw", kDraws, MEMBER(timestep_draw), "of a batch"),
      option("diffusion", "horizontal_flip", MEMBER(horizontal_flip),
             "mirror each image with probability 1/2"),
      option("diffusion", "dropout", MEMBER(dropout), "probability in the residual blocks"),
  };
}

std::vector<ConfigOption> condition_options() {
  return {
      choice("condition", "condition", kConditions, MEMBER(condition.kind),
             "what the network is told of an image"),
      option("condition", "label_names", MEMBER(condition.label_names),
             "those of the data set, which sets them"),
      option("condition", "condition_dropout", MEMBER(condition.dropout),
             "probability that an image's labels are hidden; guidance needs some"),
      option("condition", "attribute_dropout", MEMBER(condition.attribute_dropout),
             "up to what share of an image's attributes are hidden"),
  };
}

std::vector<ConfigOption> optimiser_options() {
  return {
      option("optimiser", "learning_rate", MEMBER(optimiser.learning_rate), "of Adam"),
      option("optimiser", "warmup_steps", MEMBER(optimiser.warmup_steps), "linear warm-up; 0: none"),
      option("optimiser", "beta1", MEMBER(optimiser.beta1), "decay of Adam's first moment"),
      option("optimiser", "beta2", MEMBER(optimiser.beta2), "decay of Adam's second moment"),
      option("optimiser", "adam_eps", MEMBER(optimiser.eps), "added to the root of the second moment"),
      option("optimiser", "weight_decay", MEMBER(optimiser.weight_decay), "decoupled (AdamW)"),
      option("optimiser", "clip_norm", MEMBER(optimiser.clip_norm),
             "largest norm of the gradient; 0: no clipping"),
      option("optimiser", "ema_decay", MEMBER(optimiser.ema_decay), "of the averaged weights"),
      option("optimiser", "ema_ramp", MEMBER(optimiser.ema_ramp),
             "at most (1 + step)/(10 + step) in the beginning"),
  };
}

std::vector<ConfigOption> output_options() {
  return {
      option("output", "log_every", MEMBER(log_every), "steps between lines of metrics.jsonl"),
      option("output", "tensorboard", MEMBER(tensorboard), "write TensorBoard's event files too"),
      option("output", "checkpoint_every", MEMBER(checkpoint_every), "steps between checkpoints"),
      option("output", "keep_checkpoints", MEMBER(keep_checkpoints), "how many of the last ones stay"),
      option("output", "sample_every", MEMBER(sample_every), "steps between sample grids; 0: none"),
      option("output", "sample_count", MEMBER(sample_count), "images in a grid"),
      option("output", "sampler", MEMBER(sampler.method), "of the grids: " + sampler_method_names()),
      option("output", "sample_steps", MEMBER(sampler.steps),
             "steps an image: an evaluation of the network each, two for heun"),
      option("output", "sample_eta", MEMBER(sampler.eta), "ddim: 0 deterministic .. 1 ancestral"),
      option("output", "timestep_spacing", MEMBER(sampler.timestep_spacing),
             "leading, trailing, linspace, quadratic"),
      option("output", "steps_offset", MEMBER(sampler.steps_offset),
             "added to every timestep; leading alone"),
      option("output", "set_alpha_to_one", MEMBER(sampler.set_alpha_to_one),
             "ddim: the last step reaches the clean image"),
      option("output", "variance_type", MEMBER(sampler.variance_type), "ddpm: fixed_small or fixed_large"),
      option("output", "clip_sample", MEMBER(sampler.clip_sample), "clip the estimate of the clean image"),
      option("output", "clip_sample_range", MEMBER(sampler.clip_sample_range), "to +- this"),
      option("output", "thresholding", MEMBER(sampler.thresholding), "clip to a quantile of each image"),
      option("output", "dynamic_thresholding_ratio", MEMBER(sampler.dynamic_thresholding_ratio),
             "thresholding: this quantile"),
      option("output", "sample_max_value", MEMBER(sampler.sample_max_value), "thresholding: at most this"),
      option("output", "sample_condition", MEMBER(sample_condition),
             "\"cat;dog\" or \"Smiling=1;Smiling=0,Bald=1\": the images take them in turn; empty: every "
             "class, or "
             "the first images' attributes"),
      option("output", "sample_guidance", MEMBER(sample_guidance),
             "scale of classifier-free guidance; 1: none"),
  };
}

#undef MEMBER

void apply_preset(const Preset& preset, TrainConfig& config) {
  config.preset = preset.name;
  config.network = preset.network;
  config.batch = preset.recipe.batch;
  config.steps = preset.recipe.steps;
  config.loss_reduction = preset.recipe.reduction;
  config.timestep_draw = preset.recipe.draw;
  config.dropout = preset.recipe.dropout;
  config.optimiser.learning_rate = preset.recipe.learning_rate;
  config.optimiser.warmup_steps = preset.recipe.warmup_steps;
  config.optimiser.ema_decay = preset.recipe.ema_decay;
  config.optimiser.ema_ramp = preset.recipe.ema_ramp;
}

const ConfigOption* find_option(const std::vector<ConfigOption>& options, std::string_view key) {
  const auto found =
      std::find_if(options.begin(), options.end(), [&](const auto& o) { return o.key == key; });
  return found == options.end() ? nullptr : &*found;
}

// A TOML value as the text that the option's flag would take.
std::string text_of(const toml::node& node, const std::string& place) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return format(number->get());
  if (const auto* boolean = node.as_boolean()) return format(boolean->get());
  if (const auto* list = node.as_array()) {
    std::string text;
    for (const toml::node& element : *list) text += (text.empty() ? "" : ",") + text_of(element, place);
    return text;
  }
  throw_input("{}: a text, a number, true, false or a list of these is wanted", place);
}

// Refuses a value here, where its place in the file is known, that make_train_config would refuse without it.
void try_setting(const ConfigOption& option, const Setting& setting, const std::string& place,
                 TrainConfig& scratch) {
  try {
    option.set(scratch, setting.text);
    if (option.key == "preset" && setting.text != kCustomPreset) find_preset(setting.text);
  } catch (const InputError& error) {
    throw_input("{}: {}", place, error.what());
  }
}

std::string in_quotes(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    const bool control = (c >= 0 && c < ' ') || c == 0x7f;
    if (control) {
      result += fmt::format("\\u{:04x}", c);
      continue;
    }
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string quoted_list(const std::string& text) {
  std::istringstream stream(text);
  std::string list;
  for (std::string part; std::getline(stream, part, ',');)
    list += (list.empty() ? "" : ", ") + in_quotes(part);
  return "[" + list + "]";
}

std::string toml_value(const ConfigOption& option, const std::string& text) {
  switch (option.kind) {
    case Kind::kText:
      return in_quotes(text);
    case Kind::kList:
      return "[" + text + "]";
    case Kind::kTextList:
      return quoted_list(text);
    default:
      return text;
  }
}

template <typename Number>
void at_least(const char* key, Number value, Number least) {
  if (!(value >= least)) throw_input("{} = {}: it must be at least {}", key, value, least);
}

// The table of embeddings that the condition needs, once the labels are known.
void size_class_embedding(TrainConfig& config) {
  const ConditionOptions& condition = config.condition;
  if (condition.kind == ConditionKind::kNone || condition.label_names.empty()) return;
  UnetConfig& network = config.network;
  const int rows = labels_shape(condition).columns();
  if (network.class_embedding == ClassEmbedding::kNone) {
    network.class_embedding = ClassEmbedding::kTable;
    network.num_class_embeds = rows;
  }
  if (network.class_embedding != ClassEmbedding::kTable || network.num_class_embeds != rows)
    throw_input(
        "class_embedding = {}, num_class_embeds = {}: the condition on {} {} needs a table of {} rows: see "
        "model/sampling/condition.h",
        enum_name(kClassEmbeddings, network.class_embedding), network.num_class_embeds,
        condition.label_names.size(), enum_name(kConditions, condition.kind), rows);
}

void check_samples_conditions(const TrainConfig& config) {
  if (!(config.sample_guidance >= 0))
    throw_input("sample_guidance = {}: it must be at least 0", config.sample_guidance);
  const bool is_conditional = config.condition.kind != ConditionKind::kNone;
  if (!is_conditional && !config.sample_condition.empty())
    throw_input("sample_condition = '{}': the network has no condition: set condition",
                config.sample_condition);
  if (!is_conditional && config.sample_guidance != 1)
    throw_input("sample_guidance = {}: there is nothing to guide to without a condition: set condition",
                config.sample_guidance);
  if (config.sample_guidance != 1 && config.condition.dropout == 0)
    throw_input(
        "sample_guidance = {}: with condition_dropout = 0 the network never learns the answer without a "
        "condition, from which guidance leads away",
        config.sample_guidance);
}

void in_unit_interval(const char* key, double value) {
  if (!(value >= 0 && value < 1)) throw_input("{} = {}: it must be in [0, 1)", key, value);
}

}  // namespace

std::vector<ConfigOption> train_options() {
  std::vector<ConfigOption> all;
  for (auto options : {run_options(), gpu_options(), network_options(), diffusion_options(),
                       condition_options(), optimiser_options(), output_options()})
    all.insert(all.end(), options.begin(), options.end());
  return all;
}

std::vector<Setting> read_settings(const std::filesystem::path& path) {
  toml::table file;
  try {
    file = toml::parse(read_file(path), path.string());
  } catch (const toml::parse_error& error) {
    throw_input("{}:{}: this is not TOML: {}", path.string(), error.source().begin.line, error.description());
  }
  const std::vector<ConfigOption> options = train_options();
  TrainConfig scratch;
  std::vector<Setting> settings;
  for (const auto& [group, node] : file) {
    const std::string place = fmt::format("{}:{}", path.string(), node.source().begin.line);
    const toml::table* table = node.as_table();
    if (table == nullptr)
      throw_input(
          "{}: '{}' stands outside of a table: put it under [run], [gpu], [network], [diffusion], "
          "[condition], [optimiser] or [output]",
          place, group.str());
    if (std::none_of(options.begin(), options.end(),
                     [name = group.str()](const auto& option) { return option.group == name; }))
      throw_input("{}: there is no table [{}]: see ddpm_train --print-config", place, group.str());
    for (const auto& [key, value] : *table) {
      const std::string where = fmt::format("{}:{}", path.string(), value.source().begin.line);
      const ConfigOption* known = find_option(options, key.str());
      if (known == nullptr || known->group != group.str())
        throw_input("{}: there is no option '{}' in [{}]: see ddpm_train --print-config", where, key.str(),
                    group.str());
      settings.push_back({known->key, text_of(value, where)});
      try_setting(*known, settings.back(), where, scratch);
    }
  }
  return settings;
}

TrainConfig make_train_config(const std::vector<Setting>& settings) {
  TrainConfig config;
  for (const Setting& setting : settings)
    if (setting.key == "preset") config.preset = setting.text;
  if (config.preset != kCustomPreset) apply_preset(find_preset(config.preset), config);
  const std::vector<ConfigOption> options = train_options();
  for (const Setting& setting : settings) {
    const ConfigOption* known = find_option(options, setting.key);
    if (known == nullptr) throw_input("there is no option '{}': see ddpm_train --print-config", setting.key);
    if (setting.key != "preset") known->set(config, setting.text);
  }
  config.network.out_channels = config.network.in_channels;
  config.sampler.prediction = config.prediction;
  size_class_embedding(config);
  validate(config);
  return config;
}

TrainConfig with_labels(TrainConfig config, const Labels& labels) {
  config.condition = with_names_of(config.condition, labels, config.data);
  size_class_embedding(config);
  return config;
}

TrainingOptions training_options(const TrainConfig& config, int64_t dataset_count) {
  return {.network = config.network,
          .batch = config.batch,
          .dataset_count = dataset_count,
          .timesteps = config.schedule.timesteps,
          .prediction = config.prediction,
          .draw = config.timestep_draw,
          .reduction = config.loss_reduction,
          .weighting = config.loss_weighting,
          .horizontal_flip = config.horizontal_flip,
          .labels = config.condition.kind == ConditionKind::kNone
                        ? std::nullopt
                        : std::optional(labels_shape(config.condition)),
          .dropout = config.dropout,
          .seed = config.seed,
          .optimiser = config.optimiser};
}

std::vector<Setting> to_settings(const TrainConfig& config) {
  std::vector<Setting> settings;
  for (const ConfigOption& option : train_options()) settings.push_back({option.key, option.get(config)});
  return settings;
}

std::string to_toml(const TrainConfig& config) {
  std::string text, group;
  for (const ConfigOption& option : train_options()) {
    if (option.group != group) {
      group = option.group;
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", group);
    }
    text += fmt::format("# {}\n{} = {}\n", option.help, option.key, toml_value(option, option.get(config)));
  }
  return text;
}

void validate(const TrainConfig& config) {
  validate(config.network);
  at_least<int64_t>("steps", config.steps, 0);
  if (config.seed > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    throw_input("seed = {}: it must be below 2^63, the whole numbers that TOML has", config.seed);
  at_least("batch", config.batch, 1);
  at_least("workspace_mb", config.gpu.workspace_mb, 0);
  if (config.gpu.plan_cache.empty()) throw_input("plan_cache is empty: give a file, or default, or none");
  at_least("timesteps", config.schedule.timesteps, 1);
  in_unit_interval("dropout", config.dropout);
  if (!(config.min_snr_gamma > 0))
    throw_input("min_snr_gamma = {}: it must be greater than 0", config.min_snr_gamma);
  if (!(config.optimiser.learning_rate > 0))
    throw_input("learning_rate = {}: it must be greater than 0", config.optimiser.learning_rate);
  at_least<int64_t>("warmup_steps", config.optimiser.warmup_steps, 0);
  in_unit_interval("beta1", config.optimiser.beta1);
  in_unit_interval("beta2", config.optimiser.beta2);
  at_least("adam_eps", config.optimiser.eps, 0.0);
  at_least("weight_decay", config.optimiser.weight_decay, 0.0);
  at_least("clip_norm", config.optimiser.clip_norm, 0.0);
  in_unit_interval("ema_decay", config.optimiser.ema_decay);
  at_least<int64_t>("log_every", config.log_every, 1);
  at_least<int64_t>("checkpoint_every", config.checkpoint_every, 1);
  at_least("keep_checkpoints", config.keep_checkpoints, 1);
  at_least<int64_t>("sample_every", config.sample_every, 0);
  at_least("sample_count", config.sample_count, 1);
  validate(config.condition);
  check_samples_conditions(config);
  if (config.network.time_embedding_type == TimeEmbeddingType::kFourier)
    throw_input(
        "time_embedding_type = fourier: such a network takes noise levels, for which there is neither "
        "training "
        "nor sampling here");
  if (config.network.time_embedding_type == TimeEmbeddingType::kLearned &&
      config.network.num_train_timesteps < config.schedule.timesteps)
    throw_input("num_train_timesteps = {}: a learned time embedding needs a row for each of the {} timesteps",
                config.network.num_train_timesteps, config.schedule.timesteps);
  // Both check their own options: the schedule its betas, the table its steps.
  sampler_table(NoiseSchedule(config.schedule), config.sampler);
}

}  // namespace ddpm
