#include "runtime/cpu/onednn_ops.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/reference/reference.h"
#include "runtime/cpu/onednn_descriptors.h"
#include "support/error.h"
#include "support/parallel.h"

namespace ddpm {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;

enum class Direction : int {
  kForward,
  kForwardWithBias,
  kAccumulate,
  kAccumulateWithBias,
  kBackwardData,
  kBackwardWeight,
  kBackwardWeightWithBias
};

// A compiled convolution, its weight layout, and the reorder from or to our layout.
struct Convolution {
  dnnl::primitive primitive;
  memory::desc x, weight, bias, y, scratchpad;
  memory::desc our_weight;
  dnnl::reorder weight_reorder;
  int images;  // per execution: the whole batch, or 1
};

using ConvolutionKey = std::array<int, 12>;

ConvolutionKey key_of(const Conv2dShape& s, Direction direction) {
  return {s.n,
          s.h,
          s.w,
          s.c,
          s.k,
          s.filter,
          s.stride,
          s.pad_before,
          s.pad_after,
          s.weight_channels,
          s.weight_channel_begin,
          static_cast<int>(direction)};
}

memory::desc image(int n, int c, int h, int w) { return {{n, c, h, w}, Type::f32, Tag::nhwc}; }

constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;

// Shared by the descriptors of a convolution and its gradients. oneDNN chooses the weight layout.
struct Geometry {
  explicit Geometry(const Conv2dShape& s)
      : x(image(s.n, s.c, s.h, s.w)),
        weight({s.k, s.c, s.filter, s.filter}, Type::f32, Tag::any),
        y(image(s.n, s.k, s.p(), s.q())),
        strides{s.stride, s.stride},
        before{s.pad_before, s.pad_before},
        after{s.pad_after, s.pad_after} {}

  memory::desc x, weight, y;
  memory::dims strides, before, after;
};

bool has_bias(Direction direction) {
  return direction == Direction::kForwardWithBias || direction == Direction::kAccumulateWithBias ||
         direction == Direction::kBackwardWeightWithBias;
}

// oneDNN takes an empty descriptor for "no bias".
memory::desc bias_of(const Conv2dShape& s, Direction direction) {
  return has_bias(direction) ? memory::desc({s.k}, Type::f32, Tag::a) : memory::desc();
}

Conv2dShape one_image(Conv2dShape s) {
  s.n = 1;
  return s;
}

// Values in [-1, 1] with inexact sums, so that a different order of summation shows.
std::vector<float> uneven_values(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t scrambled = static_cast<uint32_t>(i) * 2654435761u >> 16;  // Knuth's multiplicative hash
    values[i] = static_cast<float>(scrambled) / 32768.0f * 0.99f - 0.99f;
  }
  return values;
}

// The used channels of our (K,R,R,weight_channels) filter, as (K,C,R,R).
memory::desc our_filter(const Conv2dShape& s) {
  const memory::dim row = memory::dim{s.filter} * s.weight_channels;
  return {{s.k, s.c, s.filter, s.filter}, Type::f32, {s.filter * row, 1, row, s.weight_channels}};
}

// One matrix per head and image, within an array of attention.
struct HeadMatrices {
  memory::desc of_an_image;
  int64_t image_elements;  // from one image to the next
  const float* data;
};

// The matrices of attention (kernels/attention.h): L x d slices of qkv or y, L x L scores, and transposes.
class AttentionMatrices {
 public:
  explicit AttentionMatrices(const AttentionShape& s)
      : heads_(s.heads), length_(s.length), d_(s.head_dim), channels_(s.channels()) {}

  HeadMatrices in_qkv(const float* part) const { return rows_of(part, 3 * channels_); }
  HeadMatrices in_qkv_transposed(const float* part) const { return transposed(in_qkv(part)); }
  HeadMatrices in_y(const float* y) const { return rows_of(y, channels_); }
  HeadMatrices scores(const float* scores) const {
    return make(length_, length_, {length_ * length_, length_, 1}, heads_ * length_ * length_, scores);
  }
  HeadMatrices scores_transposed(const float* scores) const { return transposed(this->scores(scores)); }

 private:
  HeadMatrices rows_of(const float* data, memory::dim row) const {
    return make(length_, d_, {d_, row, 1}, length_ * row, data);
  }
  HeadMatrices make(memory::dim rows, memory::dim columns, const memory::dims& strides,
                    int64_t image_elements, const float* data) const {
    return {memory::desc({heads_, rows, columns}, Type::f32, strides), image_elements, data};
  }
  static HeadMatrices transposed(HeadMatrices matrices) {
    matrices.of_an_image = matrices.of_an_image.permute_axes({0, 2, 1});
    return matrices;
  }

  memory::dim heads_, length_, d_, channels_;
};

void* data(const float* pointer) { return const_cast<float*>(pointer); }

SoftmaxParams softmax_of_scores(const AttentionShape& s) {
  return {.rows = int64_t{s.n} * s.heads * s.length,
          .length = s.length,
          .scale = 1 / std::sqrt(double(s.head_dim))};
}

void add_in_place(int64_t count, const float* addend, float* sum) { reference::add(count, sum, addend, sum); }

}  // namespace

struct OneDnnOps::Implementation {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::map<ConvolutionKey, Convolution> convolutions;
  std::vector<float> weights;    // in the primitive's layout
  std::vector<float> bias;       // a bias gradient before it is accumulated
  std::vector<float> image;      // an image gradient before it is accumulated
  std::vector<float> upsampled;  // an upsampled input or its gradient
  std::vector<float> workspace;

  float* reserve(std::vector<float>& scratch, size_t bytes) {
    scratch.resize(std::max(scratch.size(), (bytes + sizeof(float) - 1) / sizeof(float)));
    return scratch.data();
  }

  float* reserve_upsampled(const Conv2dShape& s) {
    return reserve(upsampled, sizeof(float) * static_cast<size_t>(s.x_elements()));
  }

  dnnl::primitive_attr user_scratchpad() const {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attributes;
  }

  dnnl::convolution_forward::primitive_desc forward_descriptor(const Conv2dShape& s,
                                                               Direction direction) const {
    dnnl::primitive_attr attributes = user_scratchpad();
    if (direction == Direction::kAccumulate || direction == Direction::kAccumulateWithBias) {
      dnnl::post_ops sum;
      sum.append_sum(1.0f);
      attributes.set_post_ops(sum);
    }
    const Geometry g(s);
    return onednn::describe<dnnl::convolution_forward>(engine, attributes, dnnl::prop_kind::forward_training,
                                                       kAlgorithm, g.x, g.weight, bias_of(s, direction), g.y,
                                                       g.strides, g.before, g.after);
  }

  Convolution make_forward(const Conv2dShape& s, Direction direction) const {
    const auto primitive = forward_descriptor(s, direction);
    Convolution made{.primitive = dnnl::convolution_forward(primitive),
                     .x = primitive.src_desc(),
                     .weight = primitive.weights_desc(),
                     .bias = primitive.bias_desc(),
                     .y = primitive.dst_desc(),
                     .scratchpad = primitive.scratchpad_desc(),
                     .our_weight = our_filter(s),
                     .weight_reorder = {},
                     .images = s.n};
    made.weight_reorder = dnnl::reorder({engine, made.our_weight, engine, made.weight});
    return made;
  }

  // oneDNN picks a convolution's blocking by batch size and thread count, and for some shapes this changes
  // the order in which an image's channels are summed. An image must not depend on the rest of its batch, so
  // those shapes run image by image.
  Convolution choose_forward(const Conv2dShape& s, Direction direction) {
    Convolution batch = make_forward(s, direction);
    if (s.n == 1) return batch;
    Convolution one = make_forward(one_image(s), direction);
    return same_bits(s, direction, batch, one) ? batch : one;
  }

  bool same_bits(const Conv2dShape& s, Direction direction, const Convolution& batch,
                 const Convolution& one) {
    const std::vector<float> x = uneven_values(one_image(s).x_elements()),
                             w = uneven_values(s.weight_elements()), b = uneven_values(s.k);
    const float* b_or_null = has_bias(direction) ? b.data() : nullptr;
    std::vector<float> copies;
    for (int i = 0; i < s.n; ++i) copies.insert(copies.end(), x.begin(), x.end());
    std::vector<float> together(static_cast<size_t>(s.y_elements())),
        alone(static_cast<size_t>(one_image(s).y_elements()));
    forward(s, batch, {copies.data(), w.data(), b_or_null, nullptr, together.data()});
    forward(one_image(s), one, {x.data(), w.data(), b_or_null, nullptr, alone.data()});
    for (auto y = together.begin(); y != together.end(); y += std::ssize(alone))
      if (!std::equal(alone.begin(), alone.end(), y)) return false;
    return true;
  }

  void forward(const Conv2dShape& s, const Convolution& c, const Conv2dArgs<float>& args) {
    const memory weight = reordered_weight(s, c, args.weight);
    for (int i = 0; i < s.n; i += c.images) {
      std::unordered_map<int, memory> arguments{
          {DNNL_ARG_SRC, at(c.x, args.x + i * one_image(s).x_elements())},
          {DNNL_ARG_WEIGHTS, weight},
          {DNNL_ARG_DST, at(c.y, args.y + i * one_image(s).y_elements())},
          {DNNL_ARG_SCRATCHPAD, scratchpad(c)}};
      if (args.bias != nullptr) arguments.emplace(DNNL_ARG_BIAS, at(c.bias, args.bias));
      c.primitive.execute(stream, arguments);
    }
    stream.wait();
  }

  Convolution make_backward_data(const Conv2dShape& s) const {
    const Geometry g(s);
    const auto primitive = onednn::describe_backward<dnnl::convolution_backward_data>(
        engine, user_scratchpad(), forward_descriptor(s, Direction::kForward), kAlgorithm, g.x, g.weight, g.y,
        g.strides, g.before, g.after);
    Convolution made{.primitive = dnnl::convolution_backward_data(primitive),
                     .x = primitive.diff_src_desc(),
                     .weight = primitive.weights_desc(),
                     .bias = {},
                     .y = primitive.diff_dst_desc(),
                     .scratchpad = primitive.scratchpad_desc(),
                     .our_weight = our_filter(s),
                     .weight_reorder = {},
                     .images = s.n};
    made.weight_reorder = dnnl::reorder({engine, made.our_weight, engine, made.weight});
    return made;
  }

  Convolution make_backward_weight(const Conv2dShape& s, Direction direction) const {
    const Geometry g(s);
    const auto primitive = onednn::describe_backward<dnnl::convolution_backward_weights>(
        engine, user_scratchpad(), forward_descriptor(s, direction), kAlgorithm, g.x, g.weight,
        bias_of(s, direction), g.y, g.strides, g.before, g.after);
    Convolution made{.primitive = dnnl::convolution_backward_weights(primitive),
                     .x = primitive.src_desc(),
                     .weight = primitive.diff_weights_desc(),
                     .bias = primitive.diff_bias_desc(),
                     .y = primitive.diff_dst_desc(),
                     .scratchpad = primitive.scratchpad_desc(),
                     .our_weight = our_filter(s),
                     .weight_reorder = {},
                     .images = s.n};
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    dnnl::primitive_attr accumulate;
    accumulate.set_post_ops(sum);
    made.weight_reorder = dnnl::reorder({engine, made.weight, engine, made.our_weight, accumulate});
    return made;
  }

  const Convolution& convolution(const Conv2dShape& s, Direction direction) {
    const ConvolutionKey key = key_of(s, direction);
    const auto known = convolutions.find(key);
    if (known != convolutions.end()) return known->second;
    Convolution made =
        direction == Direction::kBackwardData ? make_backward_data(s)
        : direction == Direction::kBackwardWeight || direction == Direction::kBackwardWeightWithBias
            ? make_backward_weight(s, direction)
            : choose_forward(s, direction);
    return convolutions.emplace(key, std::move(made)).first->second;
  }

  memory at(const memory::desc& descriptor, const float* pointer) {
    return {descriptor, engine, data(pointer)};
  }
  memory scratchpad(const Convolution& c) {
    return at(c.scratchpad, reserve(workspace, c.scratchpad.get_size()));
  }

  // Our filter, reordered to the primitive's layout.
  memory reordered_weight(const Conv2dShape& s, const Convolution& c, const float* weight) {
    memory ours = at(c.our_weight, weight + s.weight_channel_begin);
    memory theirs = at(c.weight, reserve(weights, c.weight.get_size()));
    c.weight_reorder.execute(stream, ours, theirs);
    return theirs;
  }

  // c = a b for every image and head. oneDNN splits a batch of GEMMs among threads by batch
  // size, which affects the order of summation. It runs image by image, so that an image's bits
  // do not depend on its batch.
  void multiply(int images, const HeadMatrices& a, const HeadMatrices& b, const HeadMatrices& c) {
    const dnnl::matmul matmul(onednn::describe<dnnl::matmul>(engine, dnnl::primitive_attr(), a.of_an_image,
                                                             b.of_an_image, c.of_an_image));
    const auto of_image = [this](const HeadMatrices& matrices, int number) {
      return at(matrices.of_an_image, matrices.data + number * matrices.image_elements);
    };
    for (int i = 0; i < images; ++i)
      matmul.execute(stream, {{DNNL_ARG_SRC, of_image(a, i)},
                              {DNNL_ARG_WEIGHTS, of_image(b, i)},
                              {DNNL_ARG_DST, of_image(c, i)}});
    stream.wait();
  }
};

OneDnnOps::OneDnnOps() : implementation_(std::make_unique<Implementation>()) {}
OneDnnOps::~OneDnnOps() = default;

void OneDnnOps::conv2d(const Conv2dShape& shape, const Conv2dArgs<float>& args) {
  Implementation& self = *implementation_;
  if (args.residual != nullptr && args.residual != args.y)
    std::copy_n(args.residual, shape.y_elements(), args.y);
  const Direction direction =
      args.residual != nullptr
          ? (args.bias != nullptr ? Direction::kAccumulateWithBias : Direction::kAccumulate)
          : (args.bias != nullptr ? Direction::kForwardWithBias : Direction::kForward);
  self.forward(shape, self.convolution(shape, direction), args);
}

void OneDnnOps::conv2d_backward_data(const Conv2dShape& shape, const Conv2dBackwardDataArgs<float>& args) {
  Implementation& self = *implementation_;
  const Convolution& c = self.convolution(shape, Direction::kBackwardData);
  const bool in_place = args.residual == args.dx;  // oneDNN's backward convolutions cannot accumulate
  float* dx = in_place ? self.reserve(self.image, c.x.get_size()) : args.dx;
  c.primitive.execute(self.stream, {{DNNL_ARG_DIFF_DST, self.at(c.y, args.dy)},
                                    {DNNL_ARG_WEIGHTS, self.reordered_weight(shape, c, args.weight)},
                                    {DNNL_ARG_DIFF_SRC, self.at(c.x, dx)},
                                    {DNNL_ARG_SCRATCHPAD, self.scratchpad(c)}});
  self.stream.wait();
  if (args.residual != nullptr) add_in_place(shape.x_elements(), in_place ? dx : args.residual, args.dx);
}

void OneDnnOps::conv2d_backward_weight(const Conv2dShape& shape,
                                       const Conv2dBackwardWeightArgs<float>& args) {
  Implementation& self = *implementation_;
  const Convolution& c = self.convolution(
      shape, args.dbias != nullptr ? Direction::kBackwardWeightWithBias : Direction::kBackwardWeight);
  memory gradient = self.at(c.weight, self.reserve(self.weights, c.weight.get_size()));
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, self.at(c.x, args.x)},
                                            {DNNL_ARG_DIFF_DST, self.at(c.y, args.dy)},
                                            {DNNL_ARG_DIFF_WEIGHTS, gradient},
                                            {DNNL_ARG_SCRATCHPAD, self.scratchpad(c)}};
  if (args.dbias != nullptr)
    arguments.emplace(DNNL_ARG_DIFF_BIAS, self.at(c.bias, self.reserve(self.bias, c.bias.get_size())));
  c.primitive.execute(self.stream, arguments);
  memory ours = self.at(c.our_weight, args.dweight + shape.weight_channel_begin);
  c.weight_reorder.execute(self.stream, gradient, ours);
  self.stream.wait();
  for (float* dbias : {args.dbias, args.also_dbias})
    if (dbias != nullptr) add_in_place(shape.k, self.bias.data(), dbias);
}

void OneDnnOps::upsample_conv2d(const UpsampleConv2dShape& shape, const Conv2dArgs<float>& args) {
  const Conv2dShape full = shape.upsampled();
  float* x = implementation_->reserve_upsampled(full);
  reference::upsample_nearest(shape.n, shape.h, shape.w, shape.c, args.x, x);
  conv2d(full, {x, args.weight, args.bias, args.residual, args.y});
}

void OneDnnOps::upsample_conv2d_backward_data(const UpsampleConv2dShape& shape,
                                              const Conv2dBackwardDataArgs<float>& args) {
  const Conv2dShape full = shape.upsampled();
  float* dx = implementation_->reserve_upsampled(full);
  conv2d_backward_data(full, {args.dy, args.weight, nullptr, dx});
  reference::upsample_nearest_backward(shape.n, shape.h, shape.w, shape.c, dx, args.residual, args.dx);
}

void OneDnnOps::upsample_conv2d_backward_weight(const UpsampleConv2dShape& shape,
                                                const Conv2dBackwardWeightArgs<float>& args) {
  const Conv2dShape full = shape.upsampled();
  float* x = implementation_->reserve_upsampled(full);
  reference::upsample_nearest(shape.n, shape.h, shape.w, shape.c, args.x, x);
  conv2d_backward_weight(full, {x, args.dy, args.dweight, args.dbias});
}

void OneDnnOps::attention(const AttentionShape& s, const AttentionArgs<float>& args) {
  const AttentionMatrices in(s);
  const float *q = args.qkv, *k = q + s.channels(), *v = k + s.channels();
  const HeadMatrices probabilities = in.scores(args.probabilities);
  implementation_->multiply(s.n, in.in_qkv(q), in.in_qkv_transposed(k), probabilities);
  cpu::softmax(softmax_of_scores(s), {args.probabilities, args.probabilities});
  implementation_->multiply(s.n, probabilities, in.in_qkv(v), in.in_y(args.y));
}

void OneDnnOps::attention_backward(const AttentionShape& s, const AttentionBackwardArgs<float>& args) {
  const AttentionMatrices in(s);
  const float *q = args.qkv, *k = q + s.channels(), *v = k + s.channels();
  const float *dq = args.dqkv, *dk = dq + s.channels(), *dv = dk + s.channels();
  const HeadMatrices dy = in.in_y(args.dy), dscores = in.scores(args.dscores);
  implementation_->multiply(s.n, in.scores_transposed(args.probabilities), dy, in.in_qkv(dv));
  implementation_->multiply(s.n, dy, in.in_qkv_transposed(v), dscores);
  cpu::softmax_backward(softmax_of_scores(s), {args.probabilities, args.dscores, args.dscores});
  implementation_->multiply(s.n, dscores, in.in_qkv(k), in.in_qkv(dq));
  implementation_->multiply(s.n, in.scores_transposed(args.dscores), in.in_qkv(q), in.in_qkv(dk));
}

}  // namespace ddpm
