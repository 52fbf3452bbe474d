#include "model/weights/diffusers_config.h"

#include <algorithm>

#include "model/unet/option_names.h"
#include "model/weights/json_object.h"
#include "support/error.h"

namespace ddpm {
namespace {

// The version whose keys these are; diffusers writes it into its files.
constexpr const char* kDiffusersVersion = "0.35.1";

constexpr EnumName<SamplerMethod> kSchedulers[] = {{SamplerMethod::kDdpm, "DDPMScheduler"},
                                                   {SamplerMethod::kDdim, "DDIMScheduler"}};

// What resamples a level: attention blocks leave it to a key of their own.
enum class Resampler : uint8_t { kConvolution, kResnet };
constexpr EnumName<Resampler> kResamplers[] = {{Resampler::kConvolution, "conv"},
                                               {Resampler::kResnet, "resnet"}};

// The types of one direction.
struct BlockNames {
  const char* key;
  const char* plain;
  const char* attention;
  const char* resnet;
};
constexpr BlockNames kDownBlocks = {"down_block_types", "DownBlock2D", "AttnDownBlock2D",
                                    "ResnetDownsampleBlock2D"};
constexpr BlockNames kUpBlocks = {"up_block_types", "UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"};

// Which levels attend and which resample by a residual block, in the order of the blocks.
struct Levels {
  std::vector<bool> attention;
  std::vector<bool> resnet;
};

Levels parse_blocks(JsonObject& json, const BlockNames& names, const std::vector<std::string>& absent,
                    Resampler of_attention_blocks) {
  Levels levels;
  for (std::string type : json.texts(names.key, absent)) {
    constexpr std::string_view kOldPrefix = "UNetRes";  // "UNetResAttnDownBlock2D": diffusers drops it too
    if (type.starts_with(kOldPrefix)) type.erase(0, kOldPrefix.size());
    if (type != names.plain && type != names.attention && type != names.resnet)
      json.refuse(names.key,
                  fmt::format("expected {}, {} or {}", names.plain, names.attention, names.resnet));
    levels.attention.push_back(type == names.attention);
    levels.resnet.push_back(type == names.resnet ||
                            (type == names.attention && of_attention_blocks == Resampler::kResnet));
  }
  return levels;
}

template <typename Value>
std::vector<Value> reversed(const std::vector<Value>& values) {
  return {values.rbegin(), values.rend()};
}

// Of all blocks but the last, which resamples nothing. Empty where none is true, as in most networks.
std::vector<bool> of_resampling_blocks(std::vector<bool> values) {
  values.back() = false;
  return std::find(values.begin(), values.end(), true) == values.end() ? std::vector<bool>() : values;
}

void parse_all_blocks(JsonObject& json, UnetConfig& network) {
  const auto resampler = [&](const char* key) { return json.choice(key, kResamplers, "conv"); };
  const Levels down = parse_blocks(json, kDownBlocks,
                                   {"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"},
                                   resampler("downsample_type"));
  const Levels up =
      parse_blocks(json, kUpBlocks, {"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"},
                   resampler("upsample_type"));
  network.block_out_channels = json.integers("block_out_channels", {224, 448, 672, 896});
  const size_t levels = network.block_out_channels.size();
  if (down.attention.size() != levels)
    json.refuse(kDownBlocks.key, fmt::format("there are {} levels", levels));
  if (up.attention.size() != levels) json.refuse(kUpBlocks.key, fmt::format("there are {} levels", levels));

  network.attention = down.attention;
  network.attention_up = reversed(up.attention);
  if (network.attention_up == network.attention) network.attention_up.clear();
  network.resnet_downsampling = of_resampling_blocks(down.resnet);
  network.resnet_upsampling = reversed(of_resampling_blocks(up.resnet));
}

int parse_image_size(JsonObject& json) {
  if (json.is_null("sample_size")) json.refuse("sample_size", "expected the height and width of the images");
  return json.integer("sample_size", 0);
}

Downsampling parse_downsampling(JsonObject& json) {
  switch (json.integer("downsample_padding", 1)) {
    case 0:
      return Downsampling::kPadAfter;
    case 1:
      return Downsampling::kPadAround;
    default:
      json.refuse("downsample_padding", "expected 0 (right and bottom) or 1");
  }
}

void parse_middle(JsonObject& json, UnetConfig& network) {
  // A null means none here, not the default.
  network.mid_block = !json.has("mid_block_type") || !json.is_null("mid_block_type");
  if (json.text("mid_block_type", "UNetMidBlock2D") != "UNetMidBlock2D")
    json.refuse("mid_block_type", "expected UNetMidBlock2D or null");
  network.mid_attention = json.boolean("add_attention", true);
  network.mid_block_scale_factor = json.number("mid_block_scale_factor", 1);
  network.attn_norm_num_groups = json.integer("attn_norm_num_groups", 0);
}

void parse_time(JsonObject& json, UnetConfig& network) {
  network.time_embedding_type = json.choice("time_embedding_type", kTimeEmbeddings, "positional");
  network.time_embedding_dim = json.integer("time_embedding_dim", 0);
  network.num_train_timesteps = json.integer("num_train_timesteps", 0);
  network.freq_shift = json.number("freq_shift", 0);
  network.time_embedding_order =
      json.boolean("flip_sin_to_cos", true) ? TimeEmbeddingOrder::kCosSin : TimeEmbeddingOrder::kSinCos;
  network.time_modulation = json.choice("resnet_time_scale_shift", kModulations, "default");
}

void parse_condition(JsonObject& json, UnetConfig& network) {
  // The kinds that diffusers names; a table follows from num_class_embeds.
  const EnumName<ClassEmbedding> types[] = {
      {ClassEmbedding::kTimestep, enum_name(kClassEmbeddings, ClassEmbedding::kTimestep)},
      {ClassEmbedding::kIdentity, enum_name(kClassEmbeddings, ClassEmbedding::kIdentity)}};
  network.num_class_embeds = json.integer("num_class_embeds", 0);
  if (!json.is_null("class_embed_type"))
    network.class_embedding = json.choice("class_embed_type", types, "");
  else if (!json.is_null("num_class_embeds"))
    network.class_embedding = ClassEmbedding::kTable;
}

int parse_head_dim(JsonObject& json) {
  if (json.has("attention_head_dim") && json.is_null("attention_head_dim")) return 0;
  return json.integer("attention_head_dim", 8);
}

// The types of one direction's blocks, from levels in the order of the blocks. `resampler` is their key for
// attention blocks.
nlohmann::ordered_json block_types(const BlockNames& names, const Levels& levels, Resampler& resampler) {
  nlohmann::ordered_json types = nlohmann::ordered_json::array();
  const size_t last = levels.attention.size() - 1;  // this block resamples nothing
  std::vector<bool> of_attention;
  for (size_t i = 0; i <= last; ++i) {
    const bool resnet = i < last && levels.resnet[i];
    if (levels.attention[i] && i < last) of_attention.push_back(resnet);
    types.push_back(levels.attention[i] ? names.attention : resnet ? names.resnet : names.plain);
  }
  if (std::adjacent_find(of_attention.begin(), of_attention.end(), std::not_equal_to<>()) !=
      of_attention.end())
    throw_input(
        "diffusers has no {} for a network that resamples some levels with attention by a residual block and "
        "others by a convolution",
        names.key);
  resampler = !of_attention.empty() && of_attention[0] ? Resampler::kResnet : Resampler::kConvolution;
  return types;
}

Levels down_levels(const UnetConfig& network) {
  Levels levels;
  for (int level = 0; level < network.levels(); ++level) {
    levels.attention.push_back(network.attends_down(level));
    levels.resnet.push_back(network.downsamples_by_resnet(level));
  }
  return levels;
}

Levels up_levels(const UnetConfig& network) {
  Levels levels;
  for (int level = network.levels() - 1; level >= 0; --level) {
    levels.attention.push_back(network.attends_up(level));
    levels.resnet.push_back(network.upsamples_by_resnet(level));
  }
  return levels;
}

// Puts the file's name before errors of `body`, which does not know it.
template <typename Body>
void in_file(const std::string& where, const Body& body) {
  try {
    body();
  } catch (const InputError& error) {
    throw_input("{}: {}", where, error.what());
  }
}

// Zero here is null there.
nlohmann::ordered_json null_if_zero(int value) {
  return value == 0 ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(value);
}

}  // namespace

DiffusersUnet parse_unet_config(std::string_view text, const std::string& where) {
  JsonObject json(text, where);
  DiffusersUnet unet;
  UnetConfig& network = unet.network;
  network.initialization = Initialization::kPyTorch;
  network.image_size = parse_image_size(json);
  network.in_channels = json.integer("in_channels", 3);
  network.out_channels = json.integer("out_channels", 3);
  network.center_input_sample = json.boolean("center_input_sample", false);
  parse_all_blocks(json, network);
  parse_middle(json, network);
  parse_time(json, network);
  parse_condition(json, network);
  network.layers_per_block = json.integer("layers_per_block", 2);
  network.attention_head_dim = parse_head_dim(json);
  network.norm_num_groups = json.integer("norm_num_groups", 32);
  network.norm_eps = json.number("norm_eps", 1e-5);
  network.downsampling = parse_downsampling(json);
  unet.dropout = json.number("dropout", 0);
  if (const std::string activation = json.text("act_fn", "silu");
      activation != "silu" && activation != "swish")
    json.refuse("act_fn", "expected silu");
  json.finish();
  in_file(where, [&] { validate(network); });
  return unet;
}

DiffusersScheduler parse_scheduler_config(std::string_view text, const std::string& where) {
  JsonObject json(text, where);
  DiffusersScheduler scheduler;
  NoiseScheduleOptions& schedule = scheduler.schedule;
  SamplerOptions& sampler = scheduler.sampler;
  sampler.method = json.choice("_class_name", kSchedulers, "DDPMScheduler");
  schedule.timesteps = json.integer("num_train_timesteps", 1000);
  sampler.steps = sampler.method == SamplerMethod::kDdpm ? schedule.timesteps : 50;
  schedule.beta_start = json.number("beta_start", 1e-4);
  schedule.beta_end = json.number("beta_end", 0.02);
  schedule.trained_betas = json.numbers("trained_betas", {});
  schedule.terminal_snr =
      json.boolean("rescale_betas_zero_snr", false) ? TerminalSnr::kZero : TerminalSnr::kAsScheduled;
  sampler.clip_sample = json.boolean("clip_sample", true);
  sampler.clip_sample_range = json.number("clip_sample_range", 1);
  sampler.prediction = json.choice("prediction_type", kPredictions, "epsilon");
  if (!json.boolean("predict_epsilon", true))
    sampler.prediction = Prediction::kSample;  // diffusers before 0.8
  sampler.steps_offset = json.integer("steps_offset", 0);
  sampler.set_alpha_to_one = json.boolean("set_alpha_to_one", true);
  sampler.thresholding = json.boolean("thresholding", false);
  sampler.dynamic_thresholding_ratio = json.number("dynamic_thresholding_ratio", 0.995);
  sampler.sample_max_value = json.number("sample_max_value", 1);
  json.ignore({"tensor_format"});  // of diffusers before 0.3: "pt"
  const std::string beta_schedule = json.text("beta_schedule", "linear"),
                    variance_type = json.text("variance_type", "fixed_small"),
                    timestep_spacing = json.text("timestep_spacing", "leading");
  in_file(where, [&] {
    schedule.beta_schedule = parse_beta_schedule(beta_schedule);
    sampler.variance_type = parse_variance_type(variance_type);
    sampler.timestep_spacing = parse_timestep_spacing(timestep_spacing);
    NoiseSchedule{schedule};  // checks the betas
  });
  json.finish();
  return scheduler;
}

std::string unet_config_json(const DiffusersUnet& unet) {
  const UnetConfig& network = unet.network;
  validate(network);
  Resampler down_resampler{}, up_resampler{};
  const auto down = block_types(kDownBlocks, down_levels(network), down_resampler);
  const auto up = block_types(kUpBlocks, up_levels(network), up_resampler);
  nlohmann::ordered_json json;
  json["_class_name"] = "UNet2DModel";
  json["_diffusers_version"] = kDiffusersVersion;
  json["act_fn"] = "silu";
  json["add_attention"] = network.mid_attention;
  json["attention_head_dim"] = null_if_zero(network.attention_head_dim);
  json["attn_norm_num_groups"] = null_if_zero(network.attn_norm_num_groups);
  json["block_out_channels"] = network.block_out_channels;
  json["center_input_sample"] = network.center_input_sample;
  const bool named = network.class_embedding == ClassEmbedding::kTimestep ||
                     network.class_embedding == ClassEmbedding::kIdentity;
  json["class_embed_type"] = nullptr;
  if (named) json["class_embed_type"] = enum_name(kClassEmbeddings, network.class_embedding);
  json["down_block_types"] = down;
  json["downsample_padding"] = network.downsampling == Downsampling::kPadAround ? 1 : 0;
  json["downsample_type"] = enum_name(kResamplers, down_resampler);
  json["dropout"] = unet.dropout;
  json["flip_sin_to_cos"] = network.time_embedding_order == TimeEmbeddingOrder::kCosSin;
  json["freq_shift"] = network.freq_shift;
  json["in_channels"] = network.in_channels;
  json["layers_per_block"] = network.layers_per_block;
  json["mid_block_scale_factor"] = network.mid_block_scale_factor;
  json["mid_block_type"] = nullptr;
  if (network.mid_block) json["mid_block_type"] = "UNetMidBlock2D";
  json["norm_eps"] = network.norm_eps;
  json["norm_num_groups"] = network.norm_num_groups;
  json["num_class_embeds"] = null_if_zero(network.num_class_embeds);
  json["num_train_timesteps"] = null_if_zero(network.num_train_timesteps);
  json["out_channels"] = network.out_channels;
  json["resnet_time_scale_shift"] = enum_name(kModulations, network.time_modulation);
  json["sample_size"] = network.image_size;
  json["time_embedding_dim"] = null_if_zero(network.time_embedding_dim);
  json["time_embedding_type"] = enum_name(kTimeEmbeddings, network.time_embedding_type);
  json["up_block_types"] = up;
  json["upsample_type"] = enum_name(kResamplers, up_resampler);
  return json.dump(2) + "\n";
}

std::string scheduler_config_json(const DiffusersScheduler& scheduler) {
  const NoiseScheduleOptions& schedule = scheduler.schedule;
  const SamplerOptions& sampler = scheduler.sampler;
  if (sampler.timestep_spacing == TimestepSpacing::kQuadratic)
    throw_input("diffusers has no timestep_spacing '{}': choose leading, trailing or linspace",
                timestep_spacing_name(sampler.timestep_spacing));
  nlohmann::ordered_json json;
  json["_class_name"] = "DDPMScheduler";
  json["_diffusers_version"] = kDiffusersVersion;
  json["beta_end"] = schedule.beta_end;
  json["beta_schedule"] = beta_schedule_name(schedule.beta_schedule);
  json["beta_start"] = schedule.beta_start;
  json["clip_sample"] = sampler.clip_sample;
  json["clip_sample_range"] = sampler.clip_sample_range;
  json["dynamic_thresholding_ratio"] = sampler.dynamic_thresholding_ratio;
  json["num_train_timesteps"] = schedule.timesteps;
  json["prediction_type"] = enum_name(kPredictions, sampler.prediction);
  json["rescale_betas_zero_snr"] = schedule.terminal_snr == TerminalSnr::kZero;
  json["sample_max_value"] = sampler.sample_max_value;
  json["steps_offset"] = sampler.steps_offset;
  json["thresholding"] = sampler.thresholding;
  json["timestep_spacing"] = timestep_spacing_name(sampler.timestep_spacing);
  json["trained_betas"] = nullptr;
  if (!schedule.trained_betas.empty()) json["trained_betas"] = schedule.trained_betas;
  json["variance_type"] = variance_type_name(sampler.variance_type);
  return json.dump(2) + "\n";
}

std::string model_index_json() {
  nlohmann::ordered_json json;
  json["_class_name"] = "DDPMPipeline";
  json["_diffusers_version"] = kDiffusersVersion;
  json["scheduler"] = {"diffusers", "DDPMScheduler"};
  json["unet"] = {"diffusers", "UNet2DModel"};
  return json.dump(2) + "\n";
}

}  // namespace ddpm
