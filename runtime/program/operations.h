// The operations that a Program is made of: each is its shape (kernels/*.h, where the mathematics stands)
// and the buffers it works on.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "kernels/adam_ema.h"
#include "kernels/attention.h"
#include "kernels/conv2d.h"
#include "kernels/diffusion.h"
#include "kernels/dynamic_threshold.h"
#include "kernels/group_norm.h"
#include "kernels/guidance.h"
#include "kernels/labels.h"
#include "kernels/linear.h"
#include "kernels/resample.h"
#include "kernels/sampler_step.h"
#include "kernels/time_embedding.h"

namespace ddpm {

using BufferId = int32_t;
inline constexpr BufferId kNoBuffer = -1;  // an operand that the operation does without

enum class Access : uint8_t {
  kRead,
  kWrite,   // every element is overwritten (or the operation's slice of it)
  kUpdate,  // read and written: accumulation, optimiser states, counters
};

// One buffer in an operation's hands.
struct Operand {
  const char* name;  // as in the operation's struct
  BufferId buffer;
  Access access;
  // A written buffer may take the memory of this one where its life ends here: the operation reads an element
  // of it no later than it writes the same element.
  BufferId may_share = kNoBuffer;
};
using Operands = std::vector<Operand>;

struct Conv2d {
  Conv2dShape shape;
  BufferId x, weight, bias = kNoBuffer, residual = kNoBuffer, y = kNoBuffer;
  static constexpr const char* kKind = "conv2d";
  Operands operands() const;
};
struct Conv2dBackwardData {
  Conv2dShape shape;
  BufferId dy, weight, residual = kNoBuffer, dx = kNoBuffer;
  static constexpr const char* kKind = "conv2d_backward_data";
  Operands operands() const;
};
struct Conv2dBackwardWeight {
  Conv2dShape shape;
  BufferId x, dy, dweight, dbias = kNoBuffer, also_dbias = kNoBuffer;
  static constexpr const char* kKind = "conv2d_backward_weight";
  Operands operands() const;
};

struct UpsampleConv2d {
  UpsampleConv2dShape shape;
  BufferId x, weight, bias = kNoBuffer, y = kNoBuffer;
  static constexpr const char* kKind = "upsample_conv2d";
  Operands operands() const;
};
struct UpsampleConv2dBackwardData {
  UpsampleConv2dShape shape;
  BufferId dy, weight, residual = kNoBuffer, dx = kNoBuffer;
  static constexpr const char* kKind = "upsample_conv2d_backward_data";
  Operands operands() const;
};
struct UpsampleConv2dBackwardWeight {
  UpsampleConv2dShape shape;
  BufferId x, dy, dweight, dbias = kNoBuffer;
  static constexpr const char* kKind = "upsample_conv2d_backward_weight";
  Operands operands() const;
};

struct GroupNorm {
  GroupNormShape shape;
  BufferId x0, x1 = kNoBuffer;
  BufferId shift = kNoBuffer;  // (N, shift_stride): the block's columns start at shift_column
  int shift_column = 0;
  BufferId bias = kNoBuffer;
  BufferId gamma, beta;
  BufferId film = kNoBuffer;  // (N, film_stride): the block's 2C columns start at film_column
  int film_column = 0;
  BufferId step = kNoBuffer;  // where there is dropout
  uint64_t seed = 0;
  BufferId y = kNoBuffer, mean = kNoBuffer, rstd = kNoBuffer;
  static constexpr const char* kKind = "group_norm";
  Operands operands() const;
};
struct GroupNormBackward {
  GroupNorm forward;
  BufferId dy;
  BufferId dx0_addends[2] = {kNoBuffer, kNoBuffer};
  BufferId dx1_addends[2] = {kNoBuffer, kNoBuffer};
  BufferId dx0 = kNoBuffer, dx1 = kNoBuffer, dshift = kNoBuffer, dbias = kNoBuffer, dgamma, dbeta,
           dfilm = kNoBuffer;
  static constexpr const char* kKind = "group_norm_backward";
  Operands operands() const;
};

struct Attention {
  AttentionShape shape;
  BufferId qkv, probabilities = kNoBuffer, y = kNoBuffer;
  static constexpr const char* kKind = "attention";
  Operands operands() const;
};
struct AttentionBackward {
  AttentionShape shape;
  BufferId dy, qkv, probabilities, dscores = kNoBuffer, dqkv = kNoBuffer;
  static constexpr const char* kKind = "attention_backward";
  Operands operands() const;
};

struct Linear {
  LinearShape shape;
  BufferId x, weight, bias = kNoBuffer, residual = kNoBuffer, y = kNoBuffer;
  static constexpr const char* kKind = "linear";
  Operands operands() const;
};
struct LinearBackward {
  LinearShape shape;
  BufferId dy, x, weight, dx = kNoBuffer, dweight, dbias = kNoBuffer;
  static constexpr const char* kKind = "linear_backward";
  Operands operands() const;
};

struct TimeEmbedding {
  TimeEmbeddingShape shape;
  BufferId t, frequencies = kNoBuffer, y = kNoBuffer;
  static constexpr const char* kKind = "time_embedding";
  Operands operands() const;
};

struct Add {
  int64_t count;
  BufferId a, b, y = kNoBuffer;
  static constexpr const char* kKind = "add";
  Operands operands() const;
};

struct UpsampleNearest {
  ResampleShape shape;
  BufferId x, residual = kNoBuffer, y = kNoBuffer;
  static constexpr const char* kKind = "upsample_nearest";
  Operands operands() const;
};
struct SumPool {
  ResampleShape shape;
  BufferId x, residual = kNoBuffer, y = kNoBuffer;
  static constexpr const char* kKind = "sum_pool";
  Operands operands() const;
};
struct Rescale {
  RescaleShape shape;
  BufferId x, divisor = kNoBuffer, y = kNoBuffer;
  static constexpr const char* kKind = "rescale";
  Operands operands() const;
};
struct OneHot {
  OneHotShape shape;
  BufferId index, y = kNoBuffer;
  static constexpr const char* kKind = "one_hot";
  Operands operands() const;
};

struct Diffuse {
  DiffusionShape shape;
  BufferId dataset, signal, noise, step, x_t, t;
  static constexpr const char* kKind = "diffuse";
  Operands operands() const;
};
struct GatherLabels {
  LabelsShape shape;
  BufferId labels, step, y;
  static constexpr const char* kKind = "gather_labels";
  Operands operands() const;
};
struct Loss {
  DiffusionShape shape;
  BufferId prediction, dataset, signal, noise, weight = kNoBuffer, t, step;
  BufferId dprediction, image_loss;
  static constexpr const char* kKind = "loss";
  Operands operands() const;
};

// All parameter gradients become zero.
struct ZeroGradients {
  static constexpr const char* kKind = "zero_gradients";
  Operands operands() const { return {}; }
};
// Works on the arenas of all parameters and all gradients (Program::parameter_elements), and on states of
// that size.
struct AdamEma {
  AdamEmaShape shape;
  BufferId step, m, v, ema, gradient_norm, learning_rate;
  static constexpr const char* kKind = "adam_ema";
  Operands operands() const;
};
// counter += 1: an operation of its own, so that all others of the step see one value.
struct AdvanceCounter {
  BufferId counter;
  static constexpr const char* kKind = "advance_counter";
  Operands operands() const;
};

struct SamplerStart {
  SamplerStepShape shape;
  BufferId table, first_image, x, network_input, t;
  static constexpr const char* kKind = "sampler_start";
  Operands operands() const;
};
struct Guidance {
  GuidanceShape shape;
  BufferId answers, y;
  static constexpr const char* kKind = "guidance";
  Operands operands() const;
};
struct DynamicThreshold {
  DynamicThresholdShape shape;
  BufferId output, table, index, x, threshold;
  static constexpr const char* kKind = "dynamic_threshold";
  Operands operands() const;
};
struct SamplerStep {
  SamplerStepShape shape;
  BufferId output, table, index, first_image, x;
  BufferId memory = kNoBuffer;     // (memories, N, H, W, C)
  BufferId threshold = kNoBuffer;  // (N)
  BufferId network_input, t;
  static constexpr const char* kKind = "sampler_step";
  Operands operands() const;
};

using AnyOperation =
    std::variant<Conv2d, Conv2dBackwardData, Conv2dBackwardWeight, UpsampleConv2d, UpsampleConv2dBackwardData,
                 UpsampleConv2dBackwardWeight, GroupNorm, GroupNormBackward, Attention, AttentionBackward,
                 Linear, LinearBackward, TimeEmbedding, Add, UpsampleNearest, SumPool, Rescale, OneHot,
                 Diffuse, GatherLabels, Loss, ZeroGradients, AdamEma, AdvanceCounter, SamplerStart, Guidance,
                 DynamicThreshold, SamplerStep>;

// The buffers that the operation works on, without absent ones.
Operands operands(const AnyOperation& operation);

// "conv2d", "group_norm_backward", ...
const char* kind(const AnyOperation& operation);

// Operations and ideal bytes at `element_bytes` an activation (see each kernel's header); zero for
// bookkeeping.
Cost cost(const AnyOperation& operation, int element_bytes);

}  // namespace ddpm
