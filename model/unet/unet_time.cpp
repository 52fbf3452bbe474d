#include "model/unet/unet_time.h"

#include "support/error.h"

namespace ddpm {
namespace {

// The deviation of the frequencies in diffusers' and Song et al. 2021's networks.
constexpr double kFourierScale = 16;

std::string numbered(const char* block, int number) { return block + std::to_string(number); }

// The residual blocks in order of execution, with their channels.
std::vector<std::pair<std::string, int>> residual_blocks(const UnetConfig& config) {
  std::vector<std::pair<std::string, int>> all;
  const auto add = [&](const std::string& block, int layers, int channels) {
    for (int j = 0; j < layers; ++j) all.emplace_back(block + ".resnets." + std::to_string(j), channels);
  };
  const int last = config.levels() - 1;
  for (int level = 0; level <= last; ++level) {
    const std::string block = numbered("down_blocks.", level);
    add(block, config.layers_per_block, config.channels(level));
    if (level < last && config.downsamples_by_resnet(level))
      all.emplace_back(block + ".downsamplers.0", config.channels(level));
  }
  if (config.mid_block) add("mid_block", 2, config.channels(last));
  for (int level = last; level >= 0; --level) {
    const std::string block = numbered("up_blocks.", last - level);
    add(block, config.layers_per_block + 1, config.channels(level));
    if (level > 0 && config.upsamples_by_resnet(level))
      all.emplace_back(block + ".upsamplers.0", config.channels(level));
  }
  return all;
}

}  // namespace

UnetTime::UnetTime(UnetLayers& layers) : layers_(layers), projected_width_(layers.config().channels(0)) {
  const UnetConfig& config = layers_.config();
  if (config.time_embedding_type == TimeEmbeddingType::kFourier) {
    frequencies_ = layers_.parameter(
        "time_proj.weight", {projected_width_},
        {{"time_proj.weight", {projected_width_}, {InitialValue::Kind::kNormal, kFourierScale}}});
    projected_width_ *= 2;
  }
  const BufferId temb = embed("time_embedding", project_time("time_proj", layers_.instance().t), kNoBuffer);
  project(embed_condition(temb));
}

BufferId UnetTime::project_time(const std::string& name, BufferId t) {
  const UnetConfig& config = layers_.config();
  const int batch = layers_.instance().batch;
  if (config.time_embedding_type == TimeEmbeddingType::kLearned)
    return layers_.embedding(name, t, config.num_train_timesteps, projected_width_);
  TimeEmbedding op{.params = {.n = batch,
                              .channels = projected_width_,
                              .order = config.time_embedding_order,
                              .frequency_shift = config.freq_shift},
                   .t = t,
                   .frequencies = frequencies_};
  if (frequencies_ != kNoBuffer) {
    op.params.order = TimeEmbeddingOrder::kSinCos;
    op.params.log_time = true;
  }
  op.y = layers_.activation(name, {batch, projected_width_});
  layers_.append(name, op);
  return op.y;
}

BufferId UnetTime::embed(const std::string& name, BufferId projected, BufferId residual) {
  const int width = layers_.config().time_width();
  const BufferId hidden = layers_.linear(name + ".linear_1", projected, projected_width_, width);
  return layers_.linear(name + ".linear_2", hidden, width, width,
                        {.input_activation = Activation::kSilu, .residual = residual});
}

BufferId UnetTime::embed_condition(BufferId temb) {
  const UnetConfig& config = layers_.config();
  const BufferId labels = layers_.instance().labels;
  switch (config.class_embedding) {
    case ClassEmbedding::kNone:
      return temb;
    case ClassEmbedding::kTable:
      return layers_.embedding_product("class_embedding", labels, config.num_class_embeds,
                                       config.time_width(), temb);
    case ClassEmbedding::kTimestep:
      return embed("class_embedding", project_time("class_proj", labels), temb);
    case ClassEmbedding::kIdentity:
      return layers_.add("class_embedding", temb, labels);
  }
  throw LogicError("a class embedding without a case");
}

void UnetTime::project(BufferId temb) {
  const UnetConfig& config = layers_.config();
  const int width = config.time_width();
  const int per_channel = config.time_modulation == TimeModulation::kScaleShift ? 2 : 1;
  std::vector<NamedTensor> weights, biases;
  for (const auto& [name, channels] : residual_blocks(config)) {
    const int columns = channels * per_channel;
    weights.push_back(layers_.weight(name + ".time_emb_proj.weight", {columns, width}));
    biases.push_back(layers_.bias(name + ".time_emb_proj.bias", columns, width));
    projection_column_[name] = projection_columns_;
    projection_columns_ += columns;
  }
  const int batch = layers_.instance().batch;
  Linear op{
      .params = {.n = batch, .in = width, .out = projection_columns_, .input_activation = Activation::kSilu},
      .x = temb,
      .weight = layers_.parameter("time_emb_proj.weight", {projection_columns_, width}, std::move(weights)),
      .bias = layers_.parameter("time_emb_proj.bias", {projection_columns_}, std::move(biases))};
  op.y = projections_ = layers_.activation("time_emb_proj", {batch, projection_columns_});
  layers_.append("time_emb_proj", op);
}

}  // namespace ddpm
