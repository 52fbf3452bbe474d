#include "model/unet.h"

#include <map>
#include <string>
#include <utility>

#include "kernels/random.h"
#include "support/error.h"

namespace ddpm {
namespace {

// Ho et al. 2020 start the last layer of every residual branch this close to zero (their init_scale of 0
// becomes 1e-10), so that each block begins as the identity.
constexpr double kAlmostZero = 1e-10;

// An image-shaped activation.
struct Feature {
  BufferId buffer = kNoBuffer;
  int size = 0;  // H = W
  int channels = 0;

  int pixels() const { return size * size; }
};

// A place in the matrix of all blocks' time projections.
struct TimeSlice {
  BufferId matrix = kNoBuffer;
  int stride = 0;
  int column = 0;
};

class UnetBuilder {
 public:
  UnetBuilder(Program& program, const UnetConfig& config, const UnetInstance& instance)
      : program_(program), config_(config), instance_(instance) {}

  BufferId build() {
    embed_time();
    Feature h = conv("conv_in", {instance_.x, config_.image_size, config_.in_channels},
                     config_.block_out_channels[0]);
    skips_.push_back(h);
    for (int level = 0; level < config_.levels(); ++level) h = down_block(level, h);
    h = mid_block(h);
    for (int level = config_.levels() - 1; level >= 0; --level) h = up_block(level, h);
    h = group_norm("conv_norm_out", h, {}, {.activation = Activation::kSilu});
    return conv("conv_out", h, config_.out_channels, {.almost_zero = true}).buffer;
  }

 private:
  // ---- the three parts of the network ----

  Feature down_block(int level, Feature h) {
    const std::string name = "down_blocks." + std::to_string(level);
    for (int j = 0; j < config_.layers_per_block; ++j) {
      h = resnet(name + ".resnets." + std::to_string(j), h, {}, channels(level));
      if (config_.attention[index(level)]) h = attention(name + ".attentions." + std::to_string(j), h, config_.norm_num_groups);
      skips_.push_back(h);
    }
    if (level + 1 < config_.levels()) {
      h = downsample(name + ".downsamplers.0.conv", h);
      skips_.push_back(h);
    }
    return h;
  }

  Feature mid_block(Feature h) {
    h = resnet("mid_block.resnets.0", h, {}, h.channels);
    if (config_.mid_attention) h = attention("mid_block.attentions.0", h, mid_attention_groups());
    return resnet("mid_block.resnets.1", h, {}, h.channels);
  }

  // One residual block more than on the way down: the skips of the level and of the downsampler (or conv_in)
  // before it.
  Feature up_block(int level, Feature h) {
    const std::string name = "up_blocks." + std::to_string(config_.levels() - 1 - level);
    for (int j = 0; j <= config_.layers_per_block; ++j) {
      const Feature skip = skips_.back();
      skips_.pop_back();
      h = resnet(name + ".resnets." + std::to_string(j), h, skip, channels(level));
      if (config_.attention[index(level)]) h = attention(name + ".attentions." + std::to_string(j), h, config_.norm_num_groups);
    }
    return level > 0 ? upsample(name + ".upsamplers.0.conv", h) : h;
  }

  // ---- blocks ----

  // t -> sinusoid -> linear -> SiLU -> linear -> SiLU -> the projections of all residual blocks, side by
  // side.
  void embed_time() {
    const int width = config_.block_out_channels[0], hidden = 4 * width;
    TimeEmbedding embedding{.shape = {.n = instance_.batch,
                                      .channels = width,
                                      .order = config_.time_embedding_order,
                                      .frequency_shift = config_.freq_shift},
                            .t = instance_.t};
    embedding.y = activation("time_proj", {instance_.batch, width});
    program_.add("time_proj", Phase::kForward, embedding);
    BufferId temb = linear("time_embedding.linear_1", embedding.y, width, hidden, Activation::kNone);
    temb = linear("time_embedding.linear_2", temb, hidden, hidden, Activation::kSilu);

    std::vector<NamedTensor> weights, biases;
    for (const auto& [name, columns] : time_projections()) {
      weights.push_back(weight(name + ".time_emb_proj.weight", {columns, hidden}));
      biases.push_back(bias(name + ".time_emb_proj.bias", columns, hidden));
      projection_column_[name] = projection_columns_;
      projection_columns_ += columns;
    }
    Linear projection{
        .shape = {.n = instance_.batch,
                  .in = hidden,
                  .out = projection_columns_,
                  .input_activation = Activation::kSilu},
        .x = temb,
        .weight =
            program_.add_parameter("time_emb_proj.weight", {projection_columns_, hidden}, std::move(weights)),
        .bias = program_.add_parameter("time_emb_proj.bias", {projection_columns_}, std::move(biases))};
    projection.y = projections_ = activation("time_emb_proj", {instance_.batch, projection_columns_});
    program_.add("time_emb_proj", Phase::kForward, projection);
  }

  // The residual blocks in order of execution, with the width of their time projection.
  std::vector<std::pair<std::string, int>> time_projections() const {
    const int per_channel = config_.time_modulation == TimeModulation::kScaleShift ? 2 : 1;
    std::vector<std::pair<std::string, int>> all;
    const auto add = [&](const std::string& block, int layers, int width) {
      for (int j = 0; j < layers; ++j)
        all.emplace_back(block + ".resnets." + std::to_string(j), width * per_channel);
    };
    const int levels = config_.levels();
    for (int level = 0; level < levels; ++level)
      add("down_blocks." + std::to_string(level), config_.layers_per_block, channels(level));
    add("mid_block", 2, channels(levels - 1));
    for (int level = levels - 1; level >= 0; --level)
      add("up_blocks." + std::to_string(levels - 1 - level), config_.layers_per_block + 1, channels(level));
    return all;
  }

  TimeSlice time_slice(const std::string& resnet_name) const {
    return {projections_, projection_columns_, projection_column_.at(resnet_name)};
  }

  // norm -> SiLU -> conv -> (+ time) -> norm -> SiLU -> dropout -> conv -> + shortcut. `skip`, where there is
  // one, is concatenated to x: [x, skip]; neither the concatenation nor its shortcut's input is ever written.
  Feature resnet(const std::string& name, Feature x, Feature skip, int out) {
    const bool scale_shift = config_.time_modulation == TimeModulation::kScaleShift;
    Feature h = group_norm(name + ".norm1", x, skip, {.activation = Activation::kSilu});
    // The first convolution's bias is added where its output is next read: by the second normalisation.
    const BufferId conv1_bias = add_bias(name + ".conv1.bias", out, h.channels * 9);
    h = conv(name + ".conv1", h, out, {.without_bias = true});
    h = group_norm(name + ".norm2", h, {},
                   {.activation = Activation::kSilu,
                    .bias = conv1_bias,
                    .shift = scale_shift ? TimeSlice{} : time_slice(name),
                    .film = scale_shift ? time_slice(name) : TimeSlice{},
                    .dropout = instance_.dropout});
    return conv(name + ".conv2", h, out, {.almost_zero = true, .residual = shortcut(name, x, skip, out)});
  }

  BufferId shortcut(const std::string& name, Feature x, Feature skip, int out) {
    const int in = x.channels + skip.channels;
    if (in == out && skip.buffer == kNoBuffer) return x.buffer;
    DDPM_CHECK(in != out);  // a concatenation always changes the number of channels in these networks
    const BufferId weights =
        program_.add_parameter(name + ".conv_shortcut.weight", {out, 1, 1, in},
                               {weight(name + ".conv_shortcut.weight", {out, in, 1, 1})});
    const BufferId biases = add_bias(name + ".conv_shortcut.bias", out, in);
    const auto part = [&](Feature source, int channel_begin, BufferId bias, BufferId residual) {
      Conv2d op{.shape = {.n = instance_.batch,
                          .h = x.size,
                          .w = x.size,
                          .c = source.channels,
                          .k = out,
                          .filter = 1,
                          .pad_before = 0,
                          .pad_after = 0,
                          .weight_channels = in,
                          .weight_channel_begin = channel_begin},
                .x = source.buffer,
                .weight = weights,
                .bias = bias,
                .residual = residual};
      op.y = activation(name + ".conv_shortcut", {instance_.batch, x.size, x.size, out});
      program_.add(name + ".conv_shortcut", Phase::kForward, op);
      return op.y;
    };
    const BufferId first = part(x, 0, biases, kNoBuffer);
    return skip.buffer == kNoBuffer ? first : part(skip, x.channels, kNoBuffer, first);
  }

  // diffusers leaves the normalisation out with kScaleShift.
  int mid_attention_groups() const {
    if (config_.attn_norm_num_groups > 0) return config_.attn_norm_num_groups;
    return config_.time_modulation == TimeModulation::kShift ? config_.norm_num_groups : 0;
  }

  // norm -> q, k, v -> softmax(q k^T / sqrt d) v -> projection -> + x. With 0 groups there is no normalisation.
  Feature attention(const std::string& name, Feature x, int groups) {
    const int c = x.channels;
    const Feature h = groups > 0 ? group_norm(name + ".group_norm", x, {}, {.groups = groups}) : x;
    const BufferId weights =
        program_.add_parameter(name + ".to_qkv.weight", {3 * c, 1, 1, c},
                               {weight(name + ".to_q.weight", {c, c}), weight(name + ".to_k.weight", {c, c}),
                                weight(name + ".to_v.weight", {c, c})});
    const BufferId biases = program_.add_parameter(
        name + ".to_qkv.bias", {3 * c},
        {bias(name + ".to_q.bias", c, c), bias(name + ".to_k.bias", c, c), bias(name + ".to_v.bias", c, c)});
    const BufferId qkv = pointwise(name + ".to_qkv", h, 3 * c, weights, biases, kNoBuffer);

    const int heads = config_.attention_head_dim == 0 ? 1 : c / config_.attention_head_dim;
    Attention op{.shape = {.n = instance_.batch, .length = x.pixels(), .heads = heads, .head_dim = c / heads},
                 .qkv = qkv};
    op.probabilities = activation(name + ".probabilities", {instance_.batch, heads, x.pixels(), x.pixels()});
    op.y = activation(name, {instance_.batch, x.size, x.size, c});
    program_.add(name, Phase::kForward, op);

    const BufferId out_weight = program_.add_parameter(name + ".to_out.0.weight", {c, 1, 1, c},
                                                       {weight(name + ".to_out.0.weight", {c, c}, true)});
    const BufferId out_bias = add_bias(name + ".to_out.0.bias", c, c);
    return {pointwise(name + ".to_out.0", {op.y, x.size, c}, c, out_weight, out_bias, x.buffer), x.size, c};
  }

  // ---- layers ----

  struct ConvOptions {
    bool almost_zero = false;
    bool without_bias = false;
    BufferId residual = kNoBuffer;
  };

  Feature conv(const std::string& name, Feature x, int out) { return conv(name, x, out, ConvOptions()); }
  Feature conv(const std::string& name, Feature x, int out, const ConvOptions& options) {
    Conv2d op{.shape = {.n = instance_.batch,
                        .h = x.size,
                        .w = x.size,
                        .c = x.channels,
                        .k = out,
                        .weight_channels = x.channels},
              .x = x.buffer,
              .weight = filter(name, x.channels, out, options.almost_zero),
              .residual = options.residual};
    if (!options.without_bias) op.bias = add_bias(name + ".bias", out, x.channels * 9);
    op.y = activation(name, {instance_.batch, x.size, x.size, out});
    program_.add(name, Phase::kForward, op);
    return {op.y, x.size, out};
  }

  Feature downsample(const std::string& name, Feature x) {
    const int before = config_.downsampling == Downsampling::kPadAround ? 1 : 0;
    Conv2d op{.shape = {.n = instance_.batch,
                        .h = x.size,
                        .w = x.size,
                        .c = x.channels,
                        .k = x.channels,
                        .stride = 2,
                        .pad_before = before,
                        .pad_after = 1,
                        .weight_channels = x.channels},
              .x = x.buffer,
              .weight = filter(name, x.channels, x.channels, false),
              .bias = add_bias(name + ".bias", x.channels, x.channels * 9)};
    op.y = activation(name, {instance_.batch, op.shape.p(), op.shape.q(), x.channels});
    program_.add(name, Phase::kForward, op);
    return {op.y, op.shape.p(), x.channels};
  }

  Feature upsample(const std::string& name, Feature x) {
    UpsampleConv2d op{
        .shape = {.n = instance_.batch, .h = x.size, .w = x.size, .c = x.channels, .k = x.channels},
        .x = x.buffer,
        .weight = filter(name, x.channels, x.channels, false),
        .bias = add_bias(name + ".bias", x.channels, x.channels * 9)};
    op.y = activation(name, {instance_.batch, 2 * x.size, 2 * x.size, x.channels});
    program_.add(name, Phase::kForward, op);
    return {op.y, 2 * x.size, x.channels};
  }

  // A matrix product at every pixel.
  BufferId pointwise(const std::string& name, Feature x, int out, BufferId weights, BufferId biases,
                     BufferId residual) {
    Conv2d op{.shape = {.n = instance_.batch,
                        .h = x.size,
                        .w = x.size,
                        .c = x.channels,
                        .k = out,
                        .filter = 1,
                        .pad_before = 0,
                        .pad_after = 0,
                        .weight_channels = x.channels},
              .x = x.buffer,
              .weight = weights,
              .bias = biases,
              .residual = residual};
    op.y = activation(name, {instance_.batch, x.size, x.size, out});
    program_.add(name, Phase::kForward, op);
    return op.y;
  }

  struct NormOptions {
    int groups = 0;  // 0: norm_num_groups
    Activation activation = Activation::kNone;
    BufferId bias = kNoBuffer;
    TimeSlice shift{};
    TimeSlice film{};
    double dropout = 0;
  };

  Feature group_norm(const std::string& name, Feature x, Feature skip, const NormOptions& options) {
    const int c = x.channels + skip.channels;
    const int groups = options.groups > 0 ? options.groups : config_.norm_num_groups;
    GroupNorm op{.shape = {.n = instance_.batch,
                           .pixels = x.pixels(),
                           .c0 = x.channels,
                           .c1 = skip.channels,
                           .groups = groups,
                           .eps = config_.norm_eps,
                           .activation = options.activation,
                           .shift_stride = options.shift.stride,
                           .film_stride = options.film.stride},
                 .x0 = x.buffer,
                 .x1 = skip.buffer,
                 .shift = options.shift.matrix,
                 .shift_column = options.shift.column,
                 .bias = options.bias,
                 .gamma = constant(name + ".weight", c, 1),
                 .beta = constant(name + ".bias", c, 0),
                 .film = options.film.matrix,
                 .film_column = options.film.column};
    if (options.dropout > 0) {
      op.shape.dropout = options.dropout;
      op.shape.dropout_stream = random_key(0, RandomStream::kDropout, dropout_count_++).stream;
      op.step = instance_.step;
      op.seed = instance_.seed;
    }
    op.y = activation(name, {instance_.batch, x.size, x.size, c});
    op.mean = statistics(name + ".mean", groups);
    op.rstd = statistics(name + ".rstd", groups);
    program_.add(name, Phase::kForward, op);
    return {op.y, x.size, c};
  }

  BufferId linear(const std::string& name, BufferId x, int in, int out, Activation input_activation) {
    Linear op{
        .shape = {.n = instance_.batch, .in = in, .out = out, .input_activation = input_activation},
        .x = x,
        .weight = program_.add_parameter(name + ".weight", {out, in}, {weight(name + ".weight", {out, in})}),
        .bias = add_bias(name + ".bias", out, in)};
    op.y = activation(name, {instance_.batch, out});
    program_.add(name, Phase::kForward, op);
    return op.y;
  }

  // ---- buffers and parameters ----

  int channels(int level) const { return config_.block_out_channels[index(level)]; }
  static size_t index(int level) { return static_cast<size_t>(level); }

  BufferId activation(const std::string& name, Shape shape) {
    return program_.add_buffer(name, std::move(shape));
  }
  BufferId statistics(const std::string& name, int groups) {
    return program_.add_buffer(name, {instance_.batch, groups}, Role::kActivation, Element::kMaster);
  }

  NamedTensor weight(std::string name, Shape shape, bool almost_zero = false) const {
    const InitialValue initial =
        config_.initialisation == Initialisation::kHo
            ? InitialValue{InitialValue::Kind::kFanAverageUniform, almost_zero ? kAlmostZero : 1.0}
            : InitialValue{InitialValue::Kind::kFanInUniform, 1.0};
    return {std::move(name), std::move(shape), initial};
  }
  NamedTensor bias(std::string name, int64_t count, int64_t fan_in) const {
    const InitialValue initial = config_.initialisation == Initialisation::kHo
                                     ? InitialValue{InitialValue::Kind::kConstant, 0.0}
                                     : InitialValue{InitialValue::Kind::kFanInUniform, 1.0, fan_in};
    return {std::move(name), {count}, initial};
  }

  BufferId add_bias(const std::string& name, int count, int fan_in) {
    return program_.add_parameter(name, {count}, {bias(name, count, fan_in)});
  }
  BufferId constant(const std::string& name, int count, double value) {
    return program_.add_parameter(name, {count}, {{name, {count}, {InitialValue::Kind::kConstant, value}}});
  }
  BufferId filter(const std::string& name, int in, int out, bool almost_zero) {
    return program_.add_parameter(name + ".weight", {out, 3, 3, in},
                                  {weight(name + ".weight", {out, in, 3, 3}, almost_zero)});
  }

  Program& program_;
  const UnetConfig& config_;
  const UnetInstance& instance_;
  std::vector<Feature> skips_;
  BufferId projections_ = kNoBuffer;
  int projection_columns_ = 0;
  std::map<std::string, int> projection_column_;
  uint32_t dropout_count_ = 0;
};

}  // namespace

void validate(const UnetConfig& c) {
  const int levels = c.levels();
  if (levels < 1)
    throw_input("the network needs at least one level: give block_out_channels one number or more");
  if (static_cast<int>(c.attention.size()) != levels)
    throw_input("attention has {} entries, but block_out_channels has {} levels: give one for each",
                c.attention.size(), levels);
  if (c.in_channels < 1 || c.out_channels < 1) throw_input("in_channels and out_channels must be at least 1");
  if (c.layers_per_block < 1) throw_input("layers_per_block must be at least 1, not {}", c.layers_per_block);
  if (c.norm_num_groups < 1) throw_input("norm_num_groups must be at least 1, not {}", c.norm_num_groups);
  if (c.attn_norm_num_groups < 0)
    throw_input("attn_norm_num_groups must be at least 0, not {}", c.attn_norm_num_groups);
  if (c.attention_head_dim < 0)
    throw_input("attention_head_dim must be at least 0, not {}", c.attention_head_dim);
  if (!(c.norm_eps > 0)) throw_input("norm_eps must be greater than 0, not {}", c.norm_eps);
  constexpr int kMostLevels = 16;  // an image of 32768 pixels
  if (levels > kMostLevels)
    throw_input("block_out_channels: {} levels are more than the {} that are possible", levels, kMostLevels);
  const int factor = 1 << (levels - 1);
  if (c.image_size < factor || c.image_size % factor != 0)
    throw_input("an image of {} pixels cannot be halved {} times: choose a multiple of {}", c.image_size,
                levels - 1, factor);
  for (int level = 0; level < levels; ++level) {
    const int width = c.block_out_channels[static_cast<size_t>(level)];
    if (width < 1 || width % c.norm_num_groups != 0)
      throw_input("block_out_channels: {} is not a multiple of norm_num_groups ({})", width,
                  c.norm_num_groups);
    const bool attends = c.attention[static_cast<size_t>(level)] || (level + 1 == levels && c.mid_attention);
    if (attends && c.attention_head_dim > 0 && width % c.attention_head_dim != 0)
      throw_input("block_out_channels: {} is not a multiple of attention_head_dim ({})", width,
                  c.attention_head_dim);
  }
  if (c.mid_attention && c.attn_norm_num_groups > 0 && c.block_out_channels.back() % c.attn_norm_num_groups != 0)
    throw_input("block_out_channels: {} is not a multiple of attn_norm_num_groups ({})", c.block_out_channels.back(),
                c.attn_norm_num_groups);
  if (c.block_out_channels[0] % 2 != 0) throw_input("block_out_channels must begin with an even number");
  if (!(c.freq_shift < c.block_out_channels[0] / 2))  // the frequencies are exp(-ln(10000) i / (half - freq_shift))
    throw_input("freq_shift = {}: it must be below half the first of block_out_channels ({})", c.freq_shift,
                c.block_out_channels[0]);
}

BufferId build_unet(Program& program, const UnetConfig& config, const UnetInstance& instance) {
  validate(config);
  return UnetBuilder(program, config, instance).build();
}

Program unet_program(const UnetConfig& config, int batch) {
  Program program;
  const Shape image{batch, config.image_size, config.image_size, config.in_channels};
  const BufferId x = program.add_buffer("x", image, Role::kState);
  const BufferId t = program.add_buffer("t", {batch}, Role::kState, Element::kMaster);
  program.keep(build_unet(program, config, {.batch = batch, .x = x, .t = t}));
  return program;
}

}  // namespace ddpm
