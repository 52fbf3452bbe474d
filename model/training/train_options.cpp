// The table of options: each one's name, help and place in the configuration, and its value as text.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

#include "model/training/train_config.h"
#include "model/unet/option_names.h"
#include "support/enum_names.h"

namespace ddpm {
namespace {

using Kind = ConfigOption::Kind;

constexpr EnumName<DataPlacement> kDataPlacements[] = {{DataPlacement::kAuto, "auto"},
                                                       {DataPlacement::kResident, "resident"},
                                                       {DataPlacement::kStreamed, "streamed"}};
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
constexpr EnumName<Downsampling> kDownsamplings[] = {{Downsampling::kPadAfter, "pad_after"},
                                                     {Downsampling::kPadAround, "pad_around"}};
constexpr EnumName<Initialization> kInitializations[] = {{Initialization::kHo, "ho"},
                                                         {Initialization::kPyTorch, "pytorch"}};

constexpr EnumName<UpsampleForm> kUpsampleForms[] = {
    {UpsampleForm::kAuto, "auto"}, {UpsampleForm::kFolded, "folded"}, {UpsampleForm::kNearest, "nearest"}};
constexpr EnumName<PlanChoice> kPlanChoices[] = {{PlanChoice::kMeasured, "measured"},
                                                 {PlanChoice::kFirstProposed, "first"}};
constexpr EnumName<PlanCheck> kPlanChecks[] = {
    {PlanCheck::kRefuse, "refuse"}, {PlanCheck::kWarn, "warn"}, {PlanCheck::kOff, "off"}};
constexpr EnumName<TerminalSnr> kTerminalSnrs[] = {{TerminalSnr::kAsScheduled, "as_scheduled"},
                                                   {TerminalSnr::kZero, "zero"}};

// ---- a value as text and back, by type ----

[[noreturn]] void refuse(const std::string& key, const std::string& text, const char* expected) {
  throw_input("{}: expected {}, got '{}'", key, expected, text);
}

template <typename Number>
Number parse_number(const std::string& key, const std::string& text, const char* expected) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, number);
  if (code != std::errc() || stop != end) refuse(key, text, expected);
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
  value = parse_number<uint64_t>(key, text, "a whole number >= 0");
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
void parse(const std::string&, const std::string& text, SigmaSpacing& value) {
  value = parse_sigma_spacing(text);
}
void parse(const std::string&, const std::string& text, FinalSigma& value) {
  value = parse_final_sigma(text);
}
void parse(const std::string& key, const std::string& text, std::optional<int>& value) {
  parse(key, text, value.emplace());
}

std::string format(const std::string& value) { return value; }
std::string format(bool value) { return value ? "true" : "false"; }
std::string format(int value) { return std::to_string(value); }
std::string format(int64_t value) { return std::to_string(value); }
std::string format(uint64_t value) { return std::to_string(value); }
// The shortest text that reads back as the same value.
std::string format(double value) { return fmt::format("{}", value); }
std::string format(Device value) { return std::string(device_name(value)); }
std::string format(ComputePrecision value) { return std::string(precision_name(value)); }
std::string format(BetaSchedule value) { return std::string(beta_schedule_name(value)); }
std::string format(SamplerMethod value) { return std::string(sampler_method_name(value)); }
std::string format(TimestepSpacing value) { return std::string(timestep_spacing_name(value)); }
std::string format(VarianceType value) { return std::string(variance_type_name(value)); }
std::string format(SigmaSpacing value) { return std::string(sigma_spacing_name(value)); }
std::string format(FinalSigma value) { return std::string(final_sigma_name(value)); }
std::string format(std::optional<int> value) { return value ? format(*value) : ""; }

template <typename Value>
void parse(const std::string& key, const std::string& text, std::vector<Value>& values) {
  values.clear();
  if (text.ends_with(',')) refuse(key, text, "a list without a trailing comma");
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

// An option whose value in a configuration is access(config).
template <typename Access>
ConfigOption option(const char* group, const char* key, const Access& access, std::string help) {
  using Value = std::decay_t<decltype(access(std::declval<TrainConfig&>()))>;
  return {group,
          key,
          std::move(help),
          kind_of<Value>(),
          [access](const TrainConfig& config) { return format(access(config)); },
          [access](TrainConfig& config, const std::string& text, const std::string& name) {
            parse(name, text, access(config));
          }};
}

// The same for an enum, whose names the help lists.
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
      [access, &table](TrainConfig& config, const std::string& text, const std::string& name) {
        access(config) = parse_enum(table, name, text);
      }};
}

// The option, which ddpm_sample has as --FLAG.
ConfigOption also_flag(const char* flag, ConfigOption option) {
  option.sample_flag = flag;
  return option;
}

// NOLINTBEGIN(bugprone-macro-parentheses): a member's name takes none
#define MEMBER(path) \
  [](auto& config) -> auto& { return config.path; }
// NOLINTEND(bugprone-macro-parentheses)

std::vector<ConfigOption> run_options() {
  return {
      option("run", "preset", MEMBER(preset),
             "network and recipe to start from (custom: neither); every other option overrides it"),
      option("run", "data", MEMBER(data), "data set, NAME.npy (see ddpm_data)"),
      option("run", "out", MEMBER(out), "folder of the run"),
      option("run", "steps", MEMBER(steps), "optimizer steps in total"),
      option("run", "batch", MEMBER(batch), "images per step"),
      option("run", "seed", MEMBER(seed), "seed of all random numbers"),
      option("run", "device", MEMBER(device), "auto, cpu, cuda"),
      option("run", "precision", MEMBER(precision), "auto (bf16 on a GPU), fp32, bf16"),
      choice("run", "data_placement", kDataPlacements, MEMBER(data_placement),
             "where the images are kept (auto: resident if they fit into half of a GPU's free memory)"),
  };
}

std::vector<ConfigOption> gpu_options() {
  return {
      choice("gpu", "plan_choice", kPlanChoices, MEMBER(gpu.plan_choice),
             "use the fastest implementation of each convolution and GEMM, or the first one proposed"),
      choice(
          "gpu", "plan_check", kPlanChecks, MEMBER(gpu.plan_check),
          "refuse an implementation with wrong or irreproducible results, warn about it, or skip the check"),
      option("gpu", "plan_cache", MEMBER(gpu.plan_cache),
             "file that keeps the measured choices; default: in your cache folder, none: keep none"),
      option("gpu", "workspace_mb", MEMBER(gpu.workspace_mb),
             "scratch memory that an implementation may use, in MiB"),
      choice("gpu", "upsample", kUpsampleForms, MEMBER(gpu.upsample),
             "form of the upsampling convolutions (auto: the fastest for each layer)"),
  };
}

std::vector<ConfigOption> network_options() {
  return {
      option("network", "image_size", MEMBER(network.image_size), "height and width in pixels"),
      option("network", "in_channels", MEMBER(network.in_channels), "channels of the images"),
      option("network", "center_input_sample", MEMBER(network.center_input_sample),
             "map the input from [0, 1] to [-1, 1]"),
      option("network", "block_out_channels", MEMBER(network.block_out_channels),
             "channels of each level, finest first"),
      option("network", "attention", MEMBER(network.attention), "levels with attention on the way down"),
      option("network", "attention_up", MEMBER(network.attention_up),
             "levels with attention on the way up; empty: as on the way down"),
      option("network", "resnet_downsampling", MEMBER(network.resnet_downsampling),
             "levels downsampled by a residual block; empty: none"),
      option("network", "resnet_upsampling", MEMBER(network.resnet_upsampling),
             "levels upsampled by a residual block; empty: none"),
      option("network", "mid_block", MEMBER(network.mid_block), "residual blocks in the middle"),
      option("network", "mid_block_scale_factor", MEMBER(network.mid_block_scale_factor),
             "divisor of the residual sums in the middle"),
      option("network", "mid_attention", MEMBER(network.mid_attention), "attention in the middle"),
      option("network", "layers_per_block", MEMBER(network.layers_per_block), "residual blocks per level"),
      option("network", "attention_head_dim", MEMBER(network.attention_head_dim),
             "channels per attention head; 0: a single head"),
      option("network", "norm_num_groups", MEMBER(network.norm_num_groups), "groups of the group norms"),
      option("network", "attn_norm_num_groups", MEMBER(network.attn_norm_num_groups),
             "groups of the middle attention's norm; 0: norm_num_groups, or no norm with scale_shift"),
      option("network", "norm_eps", MEMBER(network.norm_eps), "epsilon of the group norms"),
      choice("network", "time_embedding_type", kTimeEmbeddings, MEMBER(network.time_embedding_type),
             "features of the time"),
      option("network", "time_embedding_dim", MEMBER(network.time_embedding_dim),
             "width of the time embedding; 0: four times the first channels"),
      option("network", "num_train_timesteps", MEMBER(network.num_train_timesteps),
             "rows of a learned time embedding"),
      choice("network", "class_embedding", kClassEmbeddings, MEMBER(network.class_embedding),
             "embedding of the condition"),
      option("network", "num_class_embeds", MEMBER(network.num_class_embeds),
             "rows of the table of embeddings"),
      choice("network", "time_embedding_order", kOrders, MEMBER(network.time_embedding_order),
             "order of the sinusoids"),
      option("network", "freq_shift", MEMBER(network.freq_shift),
             "shift of the sinusoids' frequencies; 1: Ho et al., 0: OpenAI"),
      choice("network", "time_modulation", kModulations, MEMBER(network.time_modulation),
             "how the time enters a residual block"),
      choice("network", "downsampling", kDownsamplings, MEMBER(network.downsampling),
             "padding of the stride-2 convolutions"),
      choice("network", "initialisation", kInitializations, MEMBER(network.initialization),
             "initial weights"),
  };
}

std::vector<ConfigOption> diffusion_options() {
  return {
      option("diffusion", "timesteps", MEMBER(schedule.timesteps), "number of timesteps T"),
      option("diffusion", "beta_schedule", MEMBER(schedule.beta_schedule),
             "linear, scaled_linear, squaredcos_cap_v2, sigmoid"),
      option("diffusion", "beta_start", MEMBER(schedule.beta_start), "beta of the first timestep"),
      option("diffusion", "beta_end", MEMBER(schedule.beta_end), "beta of the last timestep"),
      option("diffusion", "trained_betas", MEMBER(schedule.trained_betas),
             "a beta for each timestep instead of a schedule; empty: the schedule"),
      choice("diffusion", "terminal_snr", kTerminalSnrs, MEMBER(schedule.terminal_snr),
             "signal-to-noise ratio of the last timestep"),
      choice("diffusion", "prediction", kPredictions, MEMBER(diffusion.prediction),
             "what the network predicts"),
      choice("diffusion", "loss_reduction", kReductions, MEMBER(diffusion.reduction),
             "loss over the elements of an image"),
      choice("diffusion", "loss_weighting", kWeightings, MEMBER(loss_weighting),
             "loss weights of the timesteps"),
      option("diffusion", "min_snr_gamma", MEMBER(min_snr_gamma), "min_snr: upper limit of the SNR"),
      choice("diffusion", "timestep_draw", kDraws, MEMBER(diffusion.draw),
             "how a batch's timesteps are drawn"),
      option("diffusion", "horizontal_flip", MEMBER(diffusion.horizontal_flip),
             "mirror each image with probability 1/2"),
      option("diffusion", "dropout", MEMBER(dropout), "dropout probability in the residual blocks"),
  };
}

std::vector<ConfigOption> condition_options() {
  return {
      choice("condition", "condition", kConditions, MEMBER(condition.kind),
             "labels that the network is conditioned on"),
      option("condition", "label_names", MEMBER(condition.label_names),
             "names of the labels; taken from the data set"),
      option("condition", "condition_dropout", MEMBER(condition.dropout),
             "probability of hiding an image's labels; guidance needs some"),
      option("condition", "attribute_dropout", MEMBER(condition.attribute_dropout),
             "largest share of an image's attributes to hide"),
  };
}

std::vector<ConfigOption> optimizer_options() {
  return {
      option("optimiser", "learning_rate", MEMBER(optimizer.learning_rate), "learning rate of Adam"),
      option("optimiser", "warmup_steps", MEMBER(optimizer.warmup_steps), "steps of linear warm-up; 0: none"),
      option("optimiser", "beta1", MEMBER(optimizer.beta1), "decay of Adam's first moment"),
      option("optimiser", "beta2", MEMBER(optimizer.beta2), "decay of Adam's second moment"),
      option("optimiser", "adam_eps", MEMBER(optimizer.eps), "epsilon of Adam"),
      option("optimiser", "weight_decay", MEMBER(optimizer.weight_decay), "decoupled weight decay (AdamW)"),
      option("optimiser", "clip_norm", MEMBER(optimizer.clip_norm),
             "largest norm of the gradient; 0: no clipping"),
      option("optimiser", "ema_decay", MEMBER(optimizer.ema_decay), "decay of the averaged weights"),
      option("optimiser", "ema_ramp", MEMBER(optimizer.ema_ramp),
             "limit that decay to (1 + step)/(10 + step) at first"),
  };
}

std::vector<ConfigOption> output_options() {
  const std::string has_eta = sampler_names(&SamplerTraits::takes_eta),
                    has_variance = sampler_names(&SamplerTraits::takes_variance);
  return {
      option("output", "log_every", MEMBER(log_every), "steps between lines of metrics.jsonl"),
      option("output", "tensorboard", MEMBER(tensorboard), "also write TensorBoard event files"),
      option("output", "checkpoint_every", MEMBER(checkpoint_every), "steps between checkpoints"),
      option("output", "keep_checkpoints", MEMBER(keep_checkpoints), "number of checkpoints to keep"),
      option("output", "sample_every", MEMBER(sample_every), "steps between sample grids; 0: none"),
      option("output", "sample_count", MEMBER(sample_count), "images per grid"),
      also_flag("sampler",
                option("output", "sampler", MEMBER(sampler.method), "sampling method: " + sampler_names())),
      also_flag("steps", option("output", "sample_steps", MEMBER(sampler.steps),
                                "sampling steps, of one evaluation of the network each (" +
                                    sampler_evaluations_help() + ")")),
      also_flag("eta", option("output", "sample_eta", MEMBER(sampler.eta),
                              has_eta + ": noise of a step, from 0 (deterministic) to 1 (ancestral)")),
      also_flag("spacing", option("output", "timestep_spacing", MEMBER(sampler.timestep_spacing),
                                  "spacing of the timesteps: leading, trailing, linspace, quadratic")),
      also_flag("sigmas",
                option("output", "", MEMBER(sampler.sigma_spacing),
                       "noise levels of " + sampler_sigmas_help() + ": timesteps, karras, exponential")),
      also_flag("final-sigma", option("output", "", MEMBER(sampler.final_sigma),
                                      "the last of these noise levels: zero, sigma_min")),
      also_flag("order", option("output", "", MEMBER(sampler.solver_order),
                                "order of the solver, " + sampler_orders_help())),
      option("output", "steps_offset", MEMBER(sampler.steps_offset),
             "offset of the timesteps of leading spacing"),
      option("output", "set_alpha_to_one", MEMBER(sampler.set_alpha_to_one),
             "ddim: the last step reaches the clean image"),
      also_flag("variance", option("output", "variance_type", MEMBER(sampler.variance_type),
                                   has_variance + ": variance of a step, fixed_small or fixed_large")),
      option("output", "clip_sample", MEMBER(sampler.clip_sample), "clip the estimate of the clean image"),
      also_flag("clip-range", option("output", "clip_sample_range", MEMBER(sampler.clip_sample_range),
                                     "clip the estimate of the clean image to +- this")),
      option("output", "thresholding", MEMBER(sampler.thresholding),
             "dynamic thresholding: clip that estimate to a quantile of each image"),
      also_flag("threshold-ratio",
                option("output", "dynamic_thresholding_ratio", MEMBER(sampler.dynamic_thresholding_ratio),
                       "dynamic thresholding at this quantile, such as 0.995")),
      also_flag("threshold-max", option("output", "sample_max_value", MEMBER(sampler.sample_max_value),
                                        "upper limit of dynamic thresholds")),
      option(
          "output", "sample_condition", MEMBER(sample_condition),
          "conditions that the images take in turn, such as \"cat;dog\" or \"Smiling=1;Smiling=0,Bald=1\"; "
          "empty: every class, or the attributes of the first images"),
      option("output", "sample_guidance", MEMBER(sample_guidance),
             "scale of classifier-free guidance; 1: off"),
  };
}

#undef MEMBER

}  // namespace

std::vector<ConfigOption> train_options() {
  std::vector<ConfigOption> all;
  for (auto options : {run_options(), gpu_options(), network_options(), diffusion_options(),
                       condition_options(), optimizer_options(), output_options()})
    all.insert(all.end(), options.begin(), options.end());
  std::erase_if(all, [](const ConfigOption& option) { return option.key.empty(); });
  return all;
}

std::vector<ConfigOption> sampling_options() {
  std::vector<ConfigOption> all = output_options();
  std::erase_if(all, [](const ConfigOption& option) { return option.sample_flag.empty(); });
  return all;
}

}  // namespace ddpm
