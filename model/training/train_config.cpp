#include "model/training/train_config.h"

#include <toml++/toml.h>
#include <algorithm>
#include <limits>
#include <sstream>

#include "model/unet/option_names.h"
#include "support/atomic_file.h"
#include "support/enum_names.h"

namespace ddpm {
namespace {

using Kind = ConfigOption::Kind;

void apply_preset(const Preset& preset, TrainConfig& config) {
  config.preset = preset.name;
  config.network = preset.network;
  config.batch = preset.recipe.batch;
  config.steps = preset.recipe.steps;
  config.diffusion.reduction = preset.recipe.reduction;
  config.diffusion.draw = preset.recipe.draw;
  config.dropout = preset.recipe.dropout;
  config.optimizer.learning_rate = preset.recipe.learning_rate;
  config.optimizer.warmup_steps = preset.recipe.warmup_steps;
  config.optimizer.ema_decay = preset.recipe.ema_decay;
  config.optimizer.ema_ramp = preset.recipe.ema_ramp;
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
  if (const auto* number = node.as_floating_point())
    return fmt::format("{}", number->get());  // reads back the same
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  if (const auto* list = node.as_array()) {
    std::string text;
    for (const toml::node& element : *list) text += (text.empty() ? "" : ",") + text_of(element, place);
    return text;
  }
  throw_input("{}: expected a string, a number, true, false or a list of these", place);
}

// Refuses a bad value here, where its line is known, instead of in make_train_config.
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
  if (!(value >= least)) throw_input("{}: expected at least {}, got {}", key, least, value);
}

// Gives the network the table of embeddings that the condition needs, once the labels are known.
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
        "class_embedding = {}, num_class_embeds = {}: a condition on {} {} needs a table of {} rows (see "
        "model/sampling/condition.h)",
        enum_name(kClassEmbeddings, network.class_embedding), network.num_class_embeds,
        condition.label_names.size(), condition.kind == ConditionKind::kAttributes ? "attributes" : "classes",
        rows);
}

void check_samples_conditions(const TrainConfig& config) {
  if (!(config.sample_guidance >= 0))
    throw_input("sample_guidance: expected at least 0, got {}", config.sample_guidance);
  const bool is_conditional = config.condition.kind != ConditionKind::kNone;
  if (!is_conditional && !config.sample_condition.empty())
    throw_input("sample_condition = '{}': the network has no condition: set condition",
                config.sample_condition);
  if (!is_conditional && config.sample_guidance != 1)
    throw_input("sample_guidance = {}: there is nothing to guide to without a condition: set condition",
                config.sample_guidance);
  if (config.sample_guidance != 1 && config.condition.dropout == 0)
    throw_input(
        "sample_guidance = {}: with condition_dropout = 0 the network never learns an unconditional output, "
        "which guidance leads away from",
        config.sample_guidance);
}

void in_unit_interval(const char* key, double value) {
  if (!(value >= 0 && value < 1)) throw_input("{}: expected a number in [0, 1), got {}", key, value);
}

}  // namespace

std::vector<Setting> read_settings(const std::filesystem::path& path) {
  toml::table file;
  try {
    file = toml::parse(read_file(path), path.string());
  } catch (const toml::parse_error& error) {
    throw_input("{}:{}: invalid TOML: {}", path.string(), error.source().begin.line, error.description());
  }
  const std::vector<ConfigOption> options = train_options();
  TrainConfig scratch;
  std::vector<Setting> settings;
  for (const auto& [group, node] : file) {
    const std::string place = fmt::format("{}:{}", path.string(), node.source().begin.line);
    const toml::table* table = node.as_table();
    if (table == nullptr)
      throw_input(
          "{}: '{}' is outside of any table: put it under [run], [gpu], [network], [diffusion], "
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
  config.sampler.prediction = config.diffusion.prediction;
  size_class_embedding(config);
  validate(config);
  return config;
}

TrainConfig with_labels(TrainConfig config, const Labels& labels) {
  config.condition = with_names_of(config.condition, labels, config.data);
  size_class_embedding(config);
  return config;
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
    throw_input("seed: expected a number below 2^63, the limit of TOML, got {}", config.seed);
  at_least("batch", config.batch, 1);
  at_least("workspace_mb", config.gpu.workspace_mb, 0);
  if (config.gpu.plan_cache.empty()) throw_input("plan_cache: expected a file, default or none, got ''");
  at_least("timesteps", config.schedule.timesteps, 1);
  in_unit_interval("dropout", config.dropout);
  if (!(config.min_snr_gamma > 0))
    throw_input("min_snr_gamma: expected a number above 0, got {}", config.min_snr_gamma);
  if (!(config.optimizer.learning_rate > 0))
    throw_input("learning_rate: expected a number above 0, got {}", config.optimizer.learning_rate);
  at_least<int64_t>("warmup_steps", config.optimizer.warmup_steps, 0);
  in_unit_interval("beta1", config.optimizer.beta1);
  in_unit_interval("beta2", config.optimizer.beta2);
  at_least("adam_eps", config.optimizer.eps, 0.0);
  at_least("weight_decay", config.optimizer.weight_decay, 0.0);
  at_least("clip_norm", config.optimizer.clip_norm, 0.0);
  in_unit_interval("ema_decay", config.optimizer.ema_decay);
  at_least<int64_t>("log_every", config.log_every, 1);
  at_least<int64_t>("checkpoint_every", config.checkpoint_every, 1);
  at_least("keep_checkpoints", config.keep_checkpoints, 1);
  at_least<int64_t>("sample_every", config.sample_every, 0);
  at_least("sample_count", config.sample_count, 1);
  validate(config.condition);
  check_samples_conditions(config);
  if (config.network.time_embedding_type == TimeEmbeddingType::kFourier)
    throw_input(
        "time_embedding_type = fourier: such a network takes noise levels, and can be neither trained nor "
        "sampled here");
  if (config.network.time_embedding_type == TimeEmbeddingType::kLearned &&
      config.network.num_train_timesteps < config.schedule.timesteps)
    throw_input("num_train_timesteps = {}: a learned time embedding needs a row for each of the {} timesteps",
                config.network.num_train_timesteps, config.schedule.timesteps);
  // Both check their own options: the schedule its betas, the table its steps.
  sampler_table(NoiseSchedule(config.schedule), config.sampler);
}

}  // namespace ddpm
