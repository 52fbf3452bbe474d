// Convolutions: 1x1 with stride 1 are GEMMs over the pixels; all others are library convolutions.
#include <type_traits>

#include "runtime/library/lower_layers.h"
#include "support/error.h"

namespace ddpm {
namespace {

bool is_gemm(const Conv2dShape& s) {
  return s.filter == 1 && s.stride == 1 && s.pad_before == 0 && s.pad_after == 0;
}

int64_t input_pixels(const Conv2dShape& s) { return int64_t{s.n} * s.h * s.w; }
int64_t output_pixels(const Conv2dShape& s) { return int64_t{s.n} * s.p() * s.q(); }

// The used channels of a 1x1 filter (K, weight_channels), or of its gradient.
GemmOperand weight_slice(const Conv2dShape& s) {
  return {.leading_dimension = s.weight_channels, .begin = s.weight_channel_begin};
}

template <typename T>
ConvolutionProblem problem_of(const Conv2dShape& s, ConvolutionDirection direction, bool accumulate) {
  const ConvolutionProblem problem{
      .shape = s, .direction = direction, .type = kElementType<T>, .accumulate = accumulate};
  if (s.weight_channels != s.c || s.weight_channel_begin != 0)
    throw_input(
        "convolution {}: uses only part of its filter's {} channels, which the GPU supports for 1x1 filters only",
        to_string(problem), s.weight_channels);
  return problem;
}

}  // namespace

// Adds bias and residual in the library's epilogue if the library fuses them, otherwise before the
// convolution. An in-place residual is always added first (Conv2d::may_be_fused says why).
template <typename T>
void lower_convolution(Lowering<T>& to, const Conv2d& op, const Place& x) {
  constexpr auto kDirection = ConvolutionDirection::kForward;
  const Place weight = to.compute(op.weight), y = to.compute(op.y);
  ConvolutionProblem fused = problem_of<T>(op.shape, kDirection, false);
  fused.bias = op.bias != kNoBuffer;
  fused.residual = op.residual != kNoBuffer;
  const bool is_in_place = op.residual != kNoBuffer && to.are_one(op.residual, op.y);
  if (fused.bias && !is_in_place && to.fuses(fused))
    return to.convolution({.problem = fused,
                           .x = x,
                           .w = weight,
                           .y = y,
                           .bias = to.compute(op.bias),
                           .residual = to.compute(op.residual)});
  const bool accumulate = start_output(to, output_pixels(op.shape), op.shape.k, op.bias, op.residual, op.y);
  to.convolution({.problem = problem_of<T>(op.shape, kDirection, accumulate), .x = x, .w = weight, .y = y});
}

template <typename T>
void lower_data_gradient(Lowering<T>& to, const Conv2dBackwardData& op, const Place& dx) {
  const bool accumulate = op.dx != kNoBuffer &&
                          start_output(to, input_pixels(op.shape), op.shape.c, kNoBuffer, op.residual, op.dx);
  to.convolution({.problem = problem_of<T>(op.shape, ConvolutionDirection::kBackwardData, accumulate),
                  .x = dx,
                  .w = to.compute(op.weight),
                  .y = to.compute(op.dy)});
}

template <typename T>
void lower_weight_gradient(Lowering<T>& to, const Conv2dBackwardWeight& op, const Place& x) {
  constexpr auto kDirection = ConvolutionDirection::kBackwardWeight;
  const Place dweight = to.master(op.dweight), dy = to.compute(op.dy);
  if constexpr (std::is_same_v<T, float>) {
    to.convolution({.problem = problem_of<T>(op.shape, kDirection, true), .x = x, .w = dweight, .y = dy});
  } else {
    const int64_t count = op.shape.weight_elements();
    const Place rounded = to.scratch_elements(count);
    to.convolution({.problem = problem_of<T>(op.shape, kDirection, false), .x = x, .w = rounded, .y = dy});
    to.kernel(bytes_of<T>(count) + bytes_of<float>(count, 2), [=](const Addresses<T>& at, StreamView stream) {
      cuda::accumulate<T>(count, at.template of<T>(rounded), at.template of<float>(dweight), stream);
    });
  }
}

template <typename T>
void lower_layer(Lowering<T>& to, const Conv2d& op) {
  const Conv2dShape& s = op.shape;
  if (!is_gemm(s)) return lower_convolution(to, op, to.compute(op.x));
  GemmOperand weight = weight_slice(s);
  weight.transpose = Transpose::kYes;
  gemm_layer(to, {.problem = {.m = output_pixels(s),
                              .n = s.k,
                              .k = s.c,
                              .a = {.leading_dimension = s.c},
                              .b = weight,
                              .d = {.leading_dimension = s.k},
                              .input = to.kType,
                              .output = to.kType},
                  .a = to.compute(op.x),
                  .b = to.compute(op.weight),
                  .c = to.compute(op.residual),
                  .bias = to.compute(op.bias),
                  .d = to.compute(op.y)});
}

template <typename T>
void lower_layer(Lowering<T>& to, const Conv2dBackwardData& op) {
  const Conv2dShape& s = op.shape;
  if (!is_gemm(s)) return lower_data_gradient(to, op, to.compute(op.dx));
  gemm_layer(to, {.problem = {.m = input_pixels(s),
                              .n = s.c,
                              .k = s.k,
                              .a = {.leading_dimension = s.k},
                              .b = weight_slice(s),
                              .d = {.leading_dimension = s.c},
                              .input = to.kType,
                              .output = to.kType},
                  .a = to.compute(op.dy),
                  .b = to.compute(op.weight),
                  .c = to.compute(op.residual),
                  .d = to.compute(op.dx)});
}

template <typename T>
void lower_layer(Lowering<T>& to, const Conv2dBackwardWeight& op) {
  const Conv2dShape& s = op.shape;
  add_bias_gradient(to, output_pixels(s), s.k, op.dy, op.dbias, op.also_dbias);
  if (!is_gemm(s)) return lower_weight_gradient(to, op, to.compute(op.x));
  to.gemm({.problem = {.m = s.k,
                       .n = s.c,
                       .k = output_pixels(s),
                       .a = {.leading_dimension = s.k, .transpose = Transpose::kYes},
                       .b = {.leading_dimension = s.c},
                       .d = weight_slice(s),
                       .input = to.kType,
                       .output = ElementType::kFloat,
                       .beta = 1},
           .a = to.compute(op.dy),
           .b = to.compute(op.x),
           .c = to.master(op.dweight),
           .d = to.master(op.dweight)});
}

#define DDPM_INSTANTIATE(T)                                                                     \
  template void lower_convolution(Lowering<T>&, const Conv2d&, const Place&);                   \
  template void lower_data_gradient(Lowering<T>&, const Conv2dBackwardData&, const Place&);     \
  template void lower_weight_gradient(Lowering<T>&, const Conv2dBackwardWeight&, const Place&); \
  template void lower_layer(Lowering<T>&, const Conv2d&);                                       \
  template void lower_layer(Lowering<T>&, const Conv2dBackwardData&);                           \
  template void lower_layer(Lowering<T>&, const Conv2dBackwardWeight&);
DDPM_INSTANTIATE(float)
DDPM_INSTANTIATE(BFloat16)
#undef DDPM_INSTANTIATE

}  // namespace ddpm
