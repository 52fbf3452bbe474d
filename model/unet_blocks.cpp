#include "model/unet_blocks.h"

#include "support/error.h"

namespace ddpm {
namespace {

BufferId shortcut(UnetLayers& layers, const std::string& name, Feature x, Feature skip, int out) {
  const int in = x.channels + skip.channels;
  if (in == out && skip.buffer == kNoBuffer) return x.buffer;
  DDPM_CHECK(in != out);  // a concatenation holds the level's own width and more
  const std::string layer = name + ".conv_shortcut";
  const BufferId weight = layers.parameter(layer + ".weight", {out, 1, 1, in},
                                           {layers.weight(layer + ".weight", {out, in, 1, 1})});
  const BufferId bias = layers.add_bias(layer + ".bias", out, in);
  const BufferId first =
      layers.pointwise(layer, x, out, {.weight = weight, .weight_channels = in, .bias = bias}).buffer;
  if (skip.buffer == kNoBuffer) return first;
  return layers
      .pointwise(layer, skip, out,
                 {.weight = weight, .weight_channels = in, .channel_begin = x.channels, .residual = first})
      .buffer;
}

Feature divided(UnetLayers& layers, const std::string& name, Feature sum, double factor) {
  return factor == 1 ? sum : layers.rescale(name + ".scaled", sum, 1 / factor, 0);
}

}  // namespace

Feature resnet_block(UnetLayers& layers, const UnetTime& time, const std::string& name, Feature x,
                     const ResnetBlock& block) {
  const bool scale_shift = layers.config().time_modulation == TimeModulation::kScaleShift;
  Feature h = layers.group_norm(name + ".norm1", x, block.skip, {.activation = Activation::kSilu});
  // The first convolution's bias is added where its output is next read: by the second normalisation.
  const BufferId conv1_bias = layers.add_bias(name + ".conv1.bias", block.out, h.channels * 9);
  if (block.resample == Resample::kUp) {
    h = layers.upsample_conv(name + ".conv1", h, LayerBias::kElsewhere);
    x = layers.upsample_nearest(name + ".upsample", x);
  } else {
    if (block.resample == Resample::kDown) {
      h = layers.average_pool(name + ".conv1.downsample", h);
      x = layers.average_pool(name + ".downsample", x);
    }
    h = layers.conv(name + ".conv1", h, block.out, {.bias = LayerBias::kElsewhere});
  }
  h = layers.group_norm(name + ".norm2", h, {},
                        {.activation = Activation::kSilu,
                         .bias = conv1_bias,
                         .shift = scale_shift ? TimeSlice{} : time.slice(name),
                         .film = scale_shift ? time.slice(name) : TimeSlice{},
                         .dropout = layers.instance().dropout});
  const BufferId residual = shortcut(layers, name, x, block.skip, block.out);
  h = layers.conv(name + ".conv2", h, block.out, {.almost_zero = true, .residual = residual});
  return divided(layers, name, h, block.scale_factor);
}

Feature attention_block(UnetLayers& layers, const std::string& name, Feature x, const AttentionBlock& block) {
  const int c = x.channels, batch = layers.instance().batch;
  const Feature h =
      block.groups > 0 ? layers.group_norm(name + ".group_norm", x, {}, {.groups = block.groups}) : x;
  const BufferId weight = layers.parameter(
      name + ".to_qkv.weight", {3 * c, 1, 1, c},
      {layers.weight(name + ".to_q.weight", {c, c}), layers.weight(name + ".to_k.weight", {c, c}),
       layers.weight(name + ".to_v.weight", {c, c})});
  const BufferId bias =
      layers.parameter(name + ".to_qkv.bias", {3 * c},
                       {layers.bias(name + ".to_q.bias", c, c), layers.bias(name + ".to_k.bias", c, c),
                        layers.bias(name + ".to_v.bias", c, c)});
  const Feature qkv =
      layers.pointwise(name + ".to_qkv", h, 3 * c, {.weight = weight, .weight_channels = c, .bias = bias});

  const int head_dim = layers.config().attention_head_dim == 0 ? c : layers.config().attention_head_dim;
  Attention op{.shape = {.n = batch, .length = x.pixels(), .heads = c / head_dim, .head_dim = head_dim},
               .qkv = qkv.buffer};
  op.probabilities =
      layers.activation(name + ".probabilities", {batch, c / head_dim, x.pixels(), x.pixels()});
  op.y = layers.activation(name, {batch, x.size, x.size, c});
  layers.append(name, op);

  const std::string out = name + ".to_out.0";
  const BufferId out_weight =
      layers.parameter(out + ".weight", {c, 1, 1, c}, {layers.weight(out + ".weight", {c, c}, true)});
  const BufferId out_bias = layers.add_bias(out + ".bias", c, c);
  const Feature sum =
      layers.pointwise(out, {op.y, x.size, c}, c,
                       {.weight = out_weight, .weight_channels = c, .bias = out_bias, .residual = x.buffer});
  return divided(layers, name, sum, block.scale_factor);
}

}  // namespace ddpm
