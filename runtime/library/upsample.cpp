// The convolution after nearest upsampling, in two forms.
#include "runtime/library/layers.h"

namespace ddpm::composed {
namespace {

// The weight as folded()'s filter, made anew for each use: the weights change with every step, and it costs
// a thousandth of the convolution.
template <typename T>
T* folded_weight(ProductSteps& steps, const UpsampleConv2dShape& s, const T* weight) {
  T* folded = steps.scratch<T>(s.folded().weight_elements());
  const int64_t elements = s.upsampled().weight_elements() + s.folded().weight_elements();
  steps.kernel(bytes_of<T>(elements),
               [&](StreamView stream) { cuda::fold_upsample_weight(s.k, s.c, weight, folded, stream); });
  return folded;
}

template <typename T>
ConvolutionProblem folded_problem(const UpsampleConv2dShape& s, ConvolutionDirection direction,
                                  bool accumulate) {
  return {.shape = s.folded(), .direction = direction, .type = kType<T>, .accumulate = accumulate};
}

ResampleShape resampling(const UpsampleConv2dShape& s) { return {.n = s.n, .h = s.h, .w = s.w, .c = s.c}; }

template <typename T>
T* upsampled_copy(ProductSteps& steps, const UpsampleConv2dShape& s, const T* x) {
  T* copy = steps.scratch<T>(s.upsampled().x_elements());
  steps.kernel(bytes_of<T>(s.upsampled().x_elements(), 1.25), [&](StreamView stream) {
    cuda::upsample_nearest<T>(resampling(s), {.x = x, .residual = nullptr, .y = copy}, stream);
  });
  return copy;
}

// ---- Folded. In folded()'s words the larger image y is the convolution's input, and x its output.

template <typename T>
void folded_conv2d(ProductSteps& steps, const UpsampleConv2dShape& s, const Conv2dArgs<T>& args) {
  const int64_t pixels = int64_t{4} * s.n * s.h * s.w;
  const bool accumulate = start_output(steps, pixels, s.k, args.bias, args.residual, args.y);
  const T* folded = folded_weight(steps, s, args.weight);
  steps.convolution(folded_problem<T>(s, ConvolutionDirection::kBackwardData, accumulate),
                    {.x = args.y, .w = folded, .y = args.x});
}

template <typename T>
void folded_conv2d_backward_data(ProductSteps& steps, const UpsampleConv2dShape& s,
                                 const Conv2dBackwardDataArgs<T>& args) {
  const int64_t pixels = int64_t{s.n} * s.h * s.w;
  const bool accumulate = start_output<T>(steps, pixels, s.c, nullptr, args.residual, args.dx);
  const T* folded = folded_weight(steps, s, args.weight);
  steps.convolution(folded_problem<T>(s, ConvolutionDirection::kForward, accumulate),
                    {.x = args.dy, .w = folded, .y = args.dx});
}

template <typename T>
void folded_conv2d_backward_weight(ProductSteps& steps, const UpsampleConv2dShape& s,
                                   const Conv2dBackwardWeightArgs<T, float>& args) {
  add_bias_gradient(steps, int64_t{4} * s.n * s.h * s.w, s.k, args.dy, args.dbias);
  T* dfolded = steps.scratch<T>(s.folded().weight_elements());
  steps.convolution(folded_problem<T>(s, ConvolutionDirection::kBackwardWeight, false),
                    {.x = args.dy, .w = dfolded, .y = args.x});
  const double bytes =
      bytes_of<T>(s.folded().weight_elements()) + bytes_of<float>(s.upsampled().weight_elements(), 2);
  steps.kernel(bytes, [&](StreamView stream) {
    cuda::unfold_upsample_gradient(s.k, s.c, dfolded, args.dweight, stream);
  });
}

// ---- Nearest

template <typename T>
void nearest_conv2d(ProductSteps& steps, const UpsampleConv2dShape& s, const Conv2dArgs<T>& args) {
  Conv2dArgs<T> upsampled = args;
  upsampled.x = upsampled_copy(steps, s, args.x);
  conv2d(steps, s.upsampled(), upsampled);
}

template <typename T>
void nearest_conv2d_backward_data(ProductSteps& steps, const UpsampleConv2dShape& s,
                                  const Conv2dBackwardDataArgs<T>& args) {
  T* larger = steps.scratch<T>(s.upsampled().x_elements());
  conv2d_backward_data<T>(steps, s.upsampled(),
                          {.dy = args.dy, .weight = args.weight, .residual = nullptr, .dx = larger});
  const double times = args.residual == nullptr ? 1.25 : 1.5;
  steps.kernel(bytes_of<T>(s.upsampled().x_elements(), times), [&](StreamView stream) {
    cuda::sum_pool<T>(resampling(s), {.x = larger, .residual = args.residual, .y = args.dx}, stream);
  });
}

template <typename T>
void nearest_conv2d_backward_weight(ProductSteps& steps, const UpsampleConv2dShape& s,
                                    const Conv2dBackwardWeightArgs<T, float>& args) {
  Conv2dBackwardWeightArgs<T, float> upsampled = args;
  upsampled.x = upsampled_copy(steps, s, args.x);
  conv2d_backward_weight(steps, s.upsampled(), upsampled);
}

}  // namespace

template <typename T>
void upsample_conv2d(ProductSteps& steps, UpsampleForm form, const UpsampleConv2dShape& shape,
                     const Conv2dArgs<T>& args) {
  (form == UpsampleForm::kFolded ? folded_conv2d<T> : nearest_conv2d<T>)(steps, shape, args);
}

template <typename T>
void upsample_conv2d_backward_data(ProductSteps& steps, UpsampleForm form, const UpsampleConv2dShape& shape,
                                   const Conv2dBackwardDataArgs<T>& args) {
  (form == UpsampleForm::kFolded ? folded_conv2d_backward_data<T>
                                 : nearest_conv2d_backward_data<T>)(steps, shape, args);
}

template <typename T>
void upsample_conv2d_backward_weight(ProductSteps& steps, UpsampleForm form, const UpsampleConv2dShape& shape,
                                     const Conv2dBackwardWeightArgs<T, float>& args) {
  (form == UpsampleForm::kFolded ? folded_conv2d_backward_weight<T>
                                 : nearest_conv2d_backward_weight<T>)(steps, shape, args);
}

template void upsample_conv2d(ProductSteps&, UpsampleForm, const UpsampleConv2dShape&,
                              const Conv2dArgs<float>&);
template void upsample_conv2d_backward_data(ProductSteps&, UpsampleForm, const UpsampleConv2dShape&,
                                            const Conv2dBackwardDataArgs<float>&);
template void upsample_conv2d_backward_weight(ProductSteps&, UpsampleForm, const UpsampleConv2dShape&,
                                              const Conv2dBackwardWeightArgs<float, float>&);
template void upsample_conv2d(ProductSteps&, UpsampleForm, const UpsampleConv2dShape&,
                              const Conv2dArgs<BFloat16>&);
template void upsample_conv2d_backward_data(ProductSteps&, UpsampleForm, const UpsampleConv2dShape&,
                                            const Conv2dBackwardDataArgs<BFloat16>&);
template void upsample_conv2d_backward_weight(ProductSteps&, UpsampleForm, const UpsampleConv2dShape&,
                                              const Conv2dBackwardWeightArgs<BFloat16, float>&);

}  // namespace ddpm::composed
