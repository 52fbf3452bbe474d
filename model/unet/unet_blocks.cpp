#include "model/unet/unet_blocks.h"

#include <utility>

#include "support/error.h"

namespace ddpm {
namespace {

// The end of a block: the shortcut's 1x1 convolution if the block changes the number of channels, then conv2,
// which adds to it.
class BlockEnd {
 public:
  // Makes the parameters.
  BlockEnd(UnetLayers& layers, std::string name, Feature x, Feature skip, int out)
      : layers_(layers), name_(std::move(name)), x_(x), skip_(skip), out_(out) {
    const int in = x.channels + skip.channels;
    if (in != out) {
      shortcut_.weight = layers.parameter(shortcut_name() + ".weight", {out, 1, 1, in},
                                          {layers.weight(shortcut_name() + ".weight", {out, in, 1, 1})});
      shortcut_.weight_channels = in;
      shortcut_.bias = layers.add_bias(shortcut_name() + ".bias", out, in);
    }
    DDPM_CHECK(in != out || skip.buffer == kNoBuffer);  // a concatenation holds the level's width and more
    conv2_.weight = layers.filter(name_ + ".conv2", out, out, true);
    conv2_.bias = layers.add_bias(name_ + ".conv2.bias", out, out * 9);
  }

  Feature append(Feature h) {
    conv2_.residual = shortcut_.weight == kNoBuffer ? x_.buffer : append_shortcut();
    return layers_.conv(name_ + ".conv2", h, out_, conv2_);
  }

 private:
  std::string shortcut_name() const { return name_ + ".conv_shortcut"; }

  // Over a concatenation these are two GEMMs with one bias each: the second adds conv2's, which is free in a
  // GEMM but takes a convolution another pass over its output where it is not fused.
  BufferId append_shortcut() {
    const BufferId first = layers_.pointwise(shortcut_name(), x_, out_, shortcut_).buffer;
    if (skip_.buffer == kNoBuffer) return first;
    UnetLayers::Pointwise second = shortcut_;
    second.channel_begin = x_.channels;
    second.bias = std::exchange(conv2_.bias, kNoBuffer);
    second.residual = first;
    return layers_.pointwise(shortcut_name(), skip_, out_, second).buffer;
  }

  UnetLayers& layers_;
  std::string name_;
  Feature x_, skip_;
  int out_;
  UnetLayers::Pointwise shortcut_{.weight = kNoBuffer, .weight_channels = 0};
  UnetLayers::Conv conv2_{.weight = kNoBuffer};
};

Feature divided(UnetLayers& layers, const std::string& name, Feature sum, double factor) {
  return factor == 1 ? sum : layers.rescale(name + ".scaled", sum, 1 / factor, 0);
}

}  // namespace

Feature resnet_block(UnetLayers& layers, const UnetTime& time, const std::string& name, Feature x,
                     const ResnetBlock& block) {
  const bool scale_shift = layers.config().time_modulation == TimeModulation::kScaleShift;
  Feature h = layers.group_norm(name + ".norm1", x, block.skip, {.activation = Activation::kSilu});
  // The first convolution's bias is added where its output is next read: by the second normalization.
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
  h = BlockEnd(layers, name, x, block.skip, block.out).append(h);
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
