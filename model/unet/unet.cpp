#include "model/unet/unet.h"

#include <string>
#include <utility>

#include "model/unet/unet_blocks.h"
#include "model/unet/unet_layers.h"
#include "model/unet/unet_time.h"

namespace ddpm {
namespace {

std::string numbered(const std::string& name, int number) { return name + std::to_string(number); }

class UnetBuilder {
 public:
  UnetBuilder(Program& program, const UnetConfig& config, const UnetInstance& instance)
      : config_(config), layers_(program, config, instance), time_(layers_) {}

  BufferId build() {
    const UnetInstance& instance = layers_.instance();
    Feature h{instance.x, config_.image_size, config_.in_channels};
    if (config_.center_input_sample) h = layers_.rescale("center_input", h, 2, -1);
    h = layers_.conv("conv_in", h, config_.channels(0));
    skips_.push_back(h);
    for (int level = 0; level < config_.levels(); ++level) h = down_block(level, h);
    if (config_.mid_block) h = mid_block(h);
    for (int level = config_.levels() - 1; level >= 0; --level) h = up_block(level, h);
    h = layers_.group_norm("conv_norm_out", h, {}, {.activation = Activation::kSilu});
    const bool divided = config_.time_embedding_type == TimeEmbeddingType::kFourier;
    h = layers_.conv("conv_out", h, config_.out_channels,
                     {.almost_zero = true, .activation_name = divided ? "conv_out.undivided" : ""});
    return divided ? layers_.rescale("conv_out", h, 1, 0, instance.t).buffer : h.buffer;
  }

 private:
  Feature down_block(int level, Feature h) {
    const std::string name = numbered("down_blocks.", level);
    for (int j = 0; j < config_.layers_per_block; ++j) {
      h = resnet(numbered(name + ".resnets.", j), h, {.out = config_.channels(level)});
      if (config_.attends_down(level)) h = attention(numbered(name + ".attentions.", j), h);
      skips_.push_back(h);
    }
    if (level + 1 == config_.levels()) return h;
    const std::string downsampler = name + ".downsamplers.0";
    h = config_.downsamples_by_resnet(level)
            ? resnet(downsampler, h, {.out = h.channels, .resample = Resample::kDown})
            : layers_.downsample_conv(downsampler + ".conv", h);
    skips_.push_back(h);
    return h;
  }

  Feature mid_block(Feature h) {
    const double factor = config_.mid_block_scale_factor;
    h = resnet("mid_block.resnets.0", h, {.out = h.channels, .scale_factor = factor});
    if (config_.mid_attention)
      h = attention_block(layers_, "mid_block.attentions.0", h,
                          {.groups = mid_attention_groups(), .scale_factor = factor});
    return resnet("mid_block.resnets.1", h, {.out = h.channels, .scale_factor = factor});
  }

  // diffusers leaves the normalisation out with kScaleShift.
  int mid_attention_groups() const {
    if (config_.attn_norm_num_groups > 0) return config_.attn_norm_num_groups;
    return config_.time_modulation == TimeModulation::kShift ? config_.norm_num_groups : 0;
  }

  // One residual block more than on the way down: the skips of the level and of the downsampler (or conv_in)
  // before it.
  Feature up_block(int level, Feature h) {
    const std::string name = numbered("up_blocks.", config_.levels() - 1 - level);
    for (int j = 0; j <= config_.layers_per_block; ++j) {
      const Feature skip = skips_.back();
      skips_.pop_back();
      h = resnet(numbered(name + ".resnets.", j), h, {.out = config_.channels(level), .skip = skip});
      if (config_.attends_up(level)) h = attention(numbered(name + ".attentions.", j), h);
    }
    if (level == 0) return h;
    const std::string upsampler = name + ".upsamplers.0";
    return config_.upsamples_by_resnet(level)
               ? resnet(upsampler, h, {.out = h.channels, .resample = Resample::kUp})
               : layers_.upsample_conv(upsampler + ".conv", h);
  }

  Feature resnet(const std::string& name, Feature x, const ResnetBlock& block) {
    return resnet_block(layers_, time_, name, x, block);
  }
  Feature attention(const std::string& name, Feature x) {
    return attention_block(layers_, name, x, {.groups = config_.norm_num_groups});
  }

  const UnetConfig& config_;
  UnetLayers layers_;
  UnetTime time_;
  std::vector<Feature> skips_;
};

}  // namespace

BufferId add_labels(Program& program, const UnetConfig& config, int batch) {
  switch (config.class_embedding) {
    case ClassEmbedding::kNone:
      break;
    case ClassEmbedding::kTable:
      return program.add_buffer("labels", {batch, config.num_class_embeds}, Role::kState);
    case ClassEmbedding::kTimestep:
      return program.add_buffer("labels", {batch}, Role::kState, DType::kMaster);
    case ClassEmbedding::kIdentity:
      return program.add_buffer("labels", {batch, config.time_width()}, Role::kState);
  }
  return kNoBuffer;
}

BufferId build_unet(Program& program, const UnetConfig& config, const UnetInstance& instance) {
  validate(config);
  UnetInstance complete = instance;
  if (complete.labels == kNoBuffer) complete.labels = add_labels(program, config, instance.batch);
  return UnetBuilder(program, config, complete).build();
}

Program unet_program(const UnetConfig& config, int batch) {
  validate(config);
  Program program;
  const Shape image{batch, config.image_size, config.image_size, config.in_channels};
  const BufferId x = program.add_buffer("x", image, Role::kState);
  const BufferId t = program.add_buffer("t", {batch}, Role::kState, DType::kMaster);
  program.keep(build_unet(program, config, {.batch = batch, .x = x, .t = t}));
  return program;
}

}  // namespace ddpm
