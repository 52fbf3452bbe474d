#include "model/unet/unet_layers.h"

#include <utility>

#include "kernels/random.h"

namespace ddpm {
namespace {

// Ho et al. 2020 start the last layer of every residual branch this close to zero (their init_scale of 0
// becomes 1e-10), so that each block begins as the identity.
constexpr double kAlmostZero = 1e-10;

// The deviation that Peebles & Xie 2023 (DiT) give their label embeddings.
constexpr double kSmallEmbedding = 0.02;

}  // namespace

Feature UnetLayers::conv(const std::string& name, Feature x, int out, const ConvOptions& options) {
  Conv layer{.weight = filter(name, x.channels, out, options.almost_zero),
             .activation_name = options.activation_name};
  if (options.bias == LayerBias::kAdded) layer.bias = add_bias(name + ".bias", out, x.channels * 9);
  return conv(name, x, out, layer);
}

Feature UnetLayers::conv(const std::string& name, Feature x, int out, const Conv& layer) {
  Conv2d op{.shape = {.n = instance_.batch,
                      .h = x.size,
                      .w = x.size,
                      .c = x.channels,
                      .k = out,
                      .weight_channels = x.channels},
            .x = x.buffer,
            .weight = layer.weight,
            .bias = layer.bias,
            .residual = layer.residual};
  op.y = activation(layer.activation_name.empty() ? name : layer.activation_name,
                    {instance_.batch, x.size, x.size, out});
  append(name, op);
  return {op.y, x.size, out};
}

Feature UnetLayers::pointwise(const std::string& name, Feature x, int out, const Pointwise& layer) {
  Conv2d op{.shape = {.n = instance_.batch,
                      .h = x.size,
                      .w = x.size,
                      .c = x.channels,
                      .k = out,
                      .filter = 1,
                      .pad_before = 0,
                      .pad_after = 0,
                      .weight_channels = layer.weight_channels,
                      .weight_channel_begin = layer.channel_begin},
            .x = x.buffer,
            .weight = layer.weight,
            .bias = layer.bias,
            .residual = layer.residual};
  op.y = activation(name, {instance_.batch, x.size, x.size, out});
  append(name, op);
  return {op.y, x.size, out};
}

Feature UnetLayers::downsample_conv(const std::string& name, Feature x) {
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
  append(name, op);
  return {op.y, op.shape.p(), x.channels};
}

Feature UnetLayers::upsample_conv(const std::string& name, Feature x, LayerBias bias) {
  UpsampleConv2d op{
      .shape = {.n = instance_.batch, .h = x.size, .w = x.size, .c = x.channels, .k = x.channels},
      .x = x.buffer,
      .weight = filter(name, x.channels, x.channels, false)};
  if (bias == LayerBias::kAdded) op.bias = add_bias(name + ".bias", x.channels, x.channels * 9);
  op.y = activation(name, {instance_.batch, 2 * x.size, 2 * x.size, x.channels});
  append(name, op);
  return {op.y, 2 * x.size, x.channels};
}

Feature UnetLayers::average_pool(const std::string& name, Feature x) {
  const int size = x.size / 2;
  SumPool op{.params = {.n = instance_.batch, .h = size, .w = size, .c = x.channels, .scale = 0.25},
             .x = x.buffer};
  op.y = activation(name, {instance_.batch, size, size, x.channels});
  append(name, op);
  return {op.y, size, x.channels};
}

Feature UnetLayers::upsample_nearest(const std::string& name, Feature x) {
  UpsampleNearest op{.params = {.n = instance_.batch, .h = x.size, .w = x.size, .c = x.channels},
                     .x = x.buffer};
  op.y = activation(name, {instance_.batch, 2 * x.size, 2 * x.size, x.channels});
  append(name, op);
  return {op.y, 2 * x.size, x.channels};
}

Feature UnetLayers::rescale(const std::string& name, Feature x, double scale, double offset,
                            BufferId divisor) {
  Rescale op{.params = {.n = instance_.batch,
                        .elements = int64_t{x.pixels()} * x.channels,
                        .scale = scale,
                        .offset = offset},
             .x = x.buffer,
             .divisor = divisor};
  op.y = activation(name, {instance_.batch, x.size, x.size, x.channels});
  append(name, op);
  return {op.y, x.size, x.channels};
}

Feature UnetLayers::group_norm(const std::string& name, Feature x, Feature skip, const NormOptions& options) {
  const int c = x.channels + skip.channels;
  const int groups = options.groups > 0 ? options.groups : config_.norm_num_groups;
  GroupNorm op{.params = {.n = instance_.batch,
                          .pixels = x.pixels(),
                          .x_channels = x.channels,
                          .skip_channels = skip.channels,
                          .groups = groups,
                          .eps = config_.norm_eps,
                          .activation = options.activation,
                          .shift_stride = options.shift.stride,
                          .film_stride = options.film.stride},
               .x = x.buffer,
               .skip = skip.buffer,
               .shift = options.shift.matrix,
               .shift_column = options.shift.column,
               .bias = options.bias,
               .gamma = constant(name + ".weight", c, 1),
               .beta = constant(name + ".bias", c, 0),
               .film = options.film.matrix,
               .film_column = options.film.column};
  if (options.dropout > 0) {
    op.params.dropout = options.dropout;
    op.params.dropout_stream = random_key(0, RandomStream::kDropout, dropout_count_++).stream;
    op.step = instance_.step;
    op.seed = instance_.seed;
  }
  op.y = activation(name, {instance_.batch, x.size, x.size, c});
  const Shape statistics{instance_.batch, groups};
  op.mean = program_.add_buffer(name + ".mean", statistics, Role::kActivation, DType::kMaster);
  op.rstd = program_.add_buffer(name + ".rstd", statistics, Role::kActivation, DType::kMaster);
  append(name, op);
  return {op.y, x.size, c};
}

BufferId UnetLayers::linear(const std::string& name, BufferId x, int in, int out,
                            const LinearOptions& options) {
  Linear op{
      .params = {.n = instance_.batch, .in = in, .out = out, .input_activation = options.input_activation},
      .x = x,
      .weight = parameter(name + ".weight", {out, in}, {weight(name + ".weight", {out, in})}),
      .bias = add_bias(name + ".bias", out, in),
      .residual = options.residual};
  op.y = activation(name, {instance_.batch, out});
  append(name, op);
  return op.y;
}

BufferId UnetLayers::embedding(const std::string& name, BufferId index, int rows, int columns) {
  OneHot op{.shape = {.n = instance_.batch, .classes = rows}, .index = index};
  op.y = activation(name + ".one_hot", {instance_.batch, rows});
  append(name + ".one_hot", op);
  return embedding_product(name, op.y, rows, columns, kNoBuffer);
}

BufferId UnetLayers::embedding_product(const std::string& name, BufferId x, int rows, int columns,
                                       BufferId residual) {
  Linear op{.params = {.n = instance_.batch, .in = rows, .out = columns},
            .x = x,
            .weight = table(name + ".weight", rows, columns),
            .residual = residual};
  op.y = activation(name, {instance_.batch, columns});
  append(name, op);
  return op.y;
}

BufferId UnetLayers::add(const std::string& name, BufferId a, BufferId b) {
  Add op{.count = element_count(program_.shape(a)), .a = a, .b = b};
  op.y = activation(name, program_.shape(a));
  append(name, op);
  return op.y;
}

BufferId UnetLayers::activation(const std::string& name, Shape shape) {
  return program_.add_buffer(name, std::move(shape));
}

void UnetLayers::append(const std::string& name, const AnyOperation& operation) {
  program_.add(name, Phase::kForward, operation);
}

BufferId UnetLayers::parameter(const std::string& name, Shape shape, std::vector<NamedTensor> tensors) {
  return program_.add_parameter(name, std::move(shape), std::move(tensors));
}

BufferId UnetLayers::constant(const std::string& name, int count, double value) {
  return parameter(name, {count}, {{name, {count}, {InitialValue::Kind::kConstant, value}}});
}

BufferId UnetLayers::add_bias(const std::string& name, int count, int fan_in) {
  return parameter(name, {count}, {bias(name, count, fan_in)});
}

NamedTensor UnetLayers::weight(std::string name, Shape shape, bool almost_zero) const {
  const InitialValue initial =
      config_.initialisation == Initialisation::kHo
          ? InitialValue{InitialValue::Kind::kFanAverageUniform, almost_zero ? kAlmostZero : 1.0}
          : InitialValue{InitialValue::Kind::kFanInUniform, 1.0};
  const TensorLayout layout = shape.size() == 4 ? TensorLayout::kFilter : TensorLayout::kSame;
  return {std::move(name), std::move(shape), initial, layout};
}

NamedTensor UnetLayers::bias(std::string name, int64_t count, int64_t fan_in) const {
  const InitialValue initial = config_.initialisation == Initialisation::kHo
                                   ? InitialValue{InitialValue::Kind::kConstant, 0.0}
                                   : InitialValue{InitialValue::Kind::kFanInUniform, 1.0, fan_in};
  return {std::move(name), {count}, initial};
}

BufferId UnetLayers::filter(const std::string& name, int in, int out, bool almost_zero) {
  return parameter(name + ".weight", {out, 3, 3, in},
                   {weight(name + ".weight", {out, in, 3, 3}, almost_zero)});
}

// PyTorch's nn.Embedding starts from N(0, 1). A sum of dozens of such rows, the attributes of an image, would
// drown the time that it joins; rows that begin small are seen as soon as they are learned.
BufferId UnetLayers::table(const std::string& name, int rows, int columns) {
  const double deviation = config_.initialisation == Initialisation::kHo ? kSmallEmbedding : 1.0;
  return parameter(
      name, {columns, rows},
      {{name, {rows, columns}, {InitialValue::Kind::kNormal, deviation}, TensorLayout::kTransposed}});
}

}  // namespace ddpm
