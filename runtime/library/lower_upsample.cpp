// The convolution of a nearest-upsampled image, in two forms: folded to a 4x4 filter on the smaller image
// (UpsampleConv2dShape::folded in kernels/conv2d.h), or literally on an upsampled copy.
#include "runtime/library/lower_layers.h"

namespace ddpm {
namespace {

// The weight as the filter of folded(), recomputed for each use: the weights change in every step, and
// folding takes a thousandth of the convolution's time.
template <typename T>
Place folded_weight(Lowering<T>& to, const UpsampleConv2dShape& s, BufferId weight) {
  const Place from = to.compute(weight), folded = to.scratch_elements(s.folded().weight_elements());
  const int64_t elements = s.upsampled().weight_elements() + s.folded().weight_elements();
  to.kernel(bytes_of<T>(elements), [=](const Addresses<T>& at, StreamView stream) {
    cuda::fold_upsample_weight<T>(s.k, s.c, at.template of<T>(from), at.template of<T>(folded), stream);
  });
  return folded;
}

template <typename T>
ConvolutionProblem folded_problem(const UpsampleConv2dShape& s, ConvolutionDirection direction,
                                  bool accumulate) {
  return {.shape = s.folded(), .direction = direction, .type = kElementType<T>, .accumulate = accumulate};
}

ResampleParams resampling(const UpsampleConv2dShape& s) { return {.n = s.n, .h = s.h, .w = s.w, .c = s.c}; }

template <typename T>
Place upsampled_copy(Lowering<T>& to, const UpsampleConv2dShape& s, BufferId x) {
  const Place from = to.compute(x), copy = to.scratch_elements(s.upsampled().x_elements());
  to.kernel(bytes_of<T>(s.upsampled().x_elements(), 1.25), [=](const Addresses<T>& at, StreamView stream) {
    cuda::upsample_nearest<T>(
        resampling(s), {.x = at.template of<T>(from), .residual = nullptr, .y = at.template of<T>(copy)},
        stream);
  });
  return copy;
}

// ---- Folded: for folded(), the larger image y is the convolution's input, and x its output.

template <typename T>
void lower_folded(Lowering<T>& to, const UpsampleConv2d& op) {
  const UpsampleConv2dShape& s = op.shape;
  const bool accumulate = start_output(to, int64_t{4} * s.n * s.h * s.w, s.k, op.bias, kNoBuffer, op.y);
  const Place folded = folded_weight(to, s, op.weight);
  to.convolution({.problem = folded_problem<T>(s, ConvolutionDirection::kBackwardData, accumulate),
                  .x = to.compute(op.y),
                  .w = folded,
                  .y = to.compute(op.x)});
}

template <typename T>
void lower_folded(Lowering<T>& to, const UpsampleConv2dBackwardData& op) {
  const UpsampleConv2dShape& s = op.shape;
  const bool accumulate = start_output(to, int64_t{s.n} * s.h * s.w, s.c, kNoBuffer, op.residual, op.dx);
  const Place folded = folded_weight(to, s, op.weight);
  to.convolution({.problem = folded_problem<T>(s, ConvolutionDirection::kForward, accumulate),
                  .x = to.compute(op.dy),
                  .w = folded,
                  .y = to.compute(op.dx)});
}

template <typename T>
void lower_folded(Lowering<T>& to, const UpsampleConv2dBackwardWeight& op) {
  const UpsampleConv2dShape& s = op.shape;
  add_bias_gradient(to, int64_t{4} * s.n * s.h * s.w, s.k, op.dy, op.dbias);
  const Place dfolded = to.scratch_elements(s.folded().weight_elements()), dweight = to.master(op.dweight);
  to.convolution({.problem = folded_problem<T>(s, ConvolutionDirection::kBackwardWeight, false),
                  .x = to.compute(op.dy),
                  .w = dfolded,
                  .y = to.compute(op.x)});
  const double bytes =
      bytes_of<T>(s.folded().weight_elements()) + bytes_of<float>(s.upsampled().weight_elements(), 2);
  to.kernel(bytes, [=](const Addresses<T>& at, StreamView stream) {
    cuda::unfold_upsample_gradient<T>(s.k, s.c, at.template of<T>(dfolded), at.template of<float>(dweight),
                                      stream);
  });
}

// ---- Nearest: convolve an upsampled copy.

template <typename T>
void lower_nearest(Lowering<T>& to, const UpsampleConv2d& op) {
  const Place larger = upsampled_copy(to, op.shape, op.x);
  lower_convolution(
      to, {.shape = op.shape.upsampled(), .x = kNoBuffer, .weight = op.weight, .bias = op.bias, .y = op.y},
      larger);
}

template <typename T>
void lower_nearest(Lowering<T>& to, const UpsampleConv2dBackwardData& op) {
  const UpsampleConv2dShape& s = op.shape;
  const Place larger = to.scratch_elements(s.upsampled().x_elements());
  lower_data_gradient(to, {.shape = s.upsampled(), .dy = op.dy, .weight = op.weight}, larger);
  const Place residual = to.compute(op.residual), dx = to.compute(op.dx);
  const double times = op.residual == kNoBuffer ? 1.25 : 1.5;
  to.kernel(bytes_of<T>(s.upsampled().x_elements(), times), [=](const Addresses<T>& at, StreamView stream) {
    cuda::sum_pool<T>(
        resampling(s),
        {.x = at.template of<T>(larger), .residual = at.template of<T>(residual), .y = at.template of<T>(dx)},
        stream);
  });
}

template <typename T>
void lower_nearest(Lowering<T>& to, const UpsampleConv2dBackwardWeight& op) {
  const Conv2dShape full = op.shape.upsampled();
  const Place larger = upsampled_copy(to, op.shape, op.x);
  add_bias_gradient(to, int64_t{full.n} * full.p() * full.q(), full.k, op.dy, op.dbias);
  lower_weight_gradient(to, {.shape = full, .x = kNoBuffer, .dy = op.dy, .dweight = op.dweight}, larger);
}

template <typename T, typename Op>
void lower_in_form(Lowering<T>& to, const Op& op) {
  if (to.form_of(op.shape) == UpsampleForm::kFolded)
    lower_folded(to, op);
  else
    lower_nearest(to, op);
}

}  // namespace

template <typename T>
void lower_layer(Lowering<T>& to, const UpsampleConv2d& op) {
  lower_in_form(to, op);
}

template <typename T>
void lower_layer(Lowering<T>& to, const UpsampleConv2dBackwardData& op) {
  lower_in_form(to, op);
}

template <typename T>
void lower_layer(Lowering<T>& to, const UpsampleConv2dBackwardWeight& op) {
  lower_in_form(to, op);
}

#define DDPM_INSTANTIATE(T)                                                   \
  template void lower_layer(Lowering<T>&, const UpsampleConv2d&);             \
  template void lower_layer(Lowering<T>&, const UpsampleConv2dBackwardData&); \
  template void lower_layer(Lowering<T>&, const UpsampleConv2dBackwardWeight&);
DDPM_INSTANTIATE(float)
DDPM_INSTANTIATE(BFloat16)
#undef DDPM_INSTANTIATE

}  // namespace ddpm
