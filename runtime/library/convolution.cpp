// Convolutions: 1x1 of stride 1 are matrix products over the pixels, all others the library's.
#include <type_traits>

#include "runtime/library/layers.h"
#include "support/error.h"

namespace ddpm::composed {
namespace {

bool is_matrix_product(const Conv2dShape& s) {
  return s.filter == 1 && s.stride == 1 && s.pad_before == 0 && s.pad_after == 0;
}

int64_t input_pixels(const Conv2dShape& s) { return int64_t{s.n} * s.h * s.w; }
int64_t output_pixels(const Conv2dShape& s) { return int64_t{s.n} * s.p() * s.q(); }

// The used channels of a 1x1 filter (K, weight_channels), or of its gradient.
MatrixOperand weight_slice(const Conv2dShape& s) {
  return {.leading_dimension = s.weight_channels, .begin = s.weight_channel_begin};
}

template <typename T>
ConvolutionProblem library_problem(const Conv2dShape& s, ConvolutionDirection direction, bool accumulate) {
  const ConvolutionProblem problem{
      .shape = s, .direction = direction, .type = kType<T>, .accumulate = accumulate};
  if (s.weight_channels != s.c || s.weight_channel_begin != 0)
    throw_input(
        "the GPU has no convolution {} with a part of its filter's {} channels: only 1x1 filters can be cut",
        to_string(problem), s.weight_channels);
  return problem;
}

// Bias and residual in the library's epilogue where it has been found faster, or else first; in place they
// come first (Conv2d::operands() tells why).
template <typename T>
void library_conv2d(ProductSteps& steps, const Conv2dShape& s, const Conv2dArgs<T>& args) {
  constexpr auto kDirection = ConvolutionDirection::kForward;
  ConvolutionProblem fused = library_problem<T>(s, kDirection, false);
  fused.bias = args.bias != nullptr;
  fused.residual = args.residual != nullptr;
  if (fused.bias && args.residual != args.y && steps.fuses(fused))
    return steps.convolution(
        fused, {.x = args.x, .w = args.weight, .y = args.y, .bias = args.bias, .residual = args.residual});
  const bool accumulate = start_output(steps, output_pixels(s), s.k, args.bias, args.residual, args.y);
  steps.convolution(library_problem<T>(s, kDirection, accumulate),
                    {.x = args.x, .w = args.weight, .y = args.y});
}

}  // namespace

template <typename T>
void conv2d(ProductSteps& steps, const Conv2dShape& s, const Conv2dArgs<T>& args) {
  if (!is_matrix_product(s)) return library_conv2d(steps, s, args);
  MatrixOperand weight = weight_slice(s);
  weight.transpose = Transpose::kYes;
  const MatrixProblem problem{.m = output_pixels(s),
                              .n = s.k,
                              .k = s.c,
                              .a = {.leading_dimension = s.c},
                              .b = weight,
                              .d = {.leading_dimension = s.k},
                              .input = kType<T>,
                              .output = kType<T>};
  matrix_layer<T>(steps, problem,
                  {.a = args.x, .b = args.weight, .c = args.residual, .bias = args.bias, .d = args.y});
}

template <typename T>
void conv2d_backward_data(ProductSteps& steps, const Conv2dShape& s, const Conv2dBackwardDataArgs<T>& args) {
  if (!is_matrix_product(s)) {
    const bool accumulate = start_output<T>(steps, input_pixels(s), s.c, nullptr, args.residual, args.dx);
    return steps.convolution(library_problem<T>(s, ConvolutionDirection::kBackwardData, accumulate),
                             {.x = args.dx, .w = args.weight, .y = args.dy});
  }
  const MatrixProblem problem{.m = input_pixels(s),
                              .n = s.c,
                              .k = s.k,
                              .a = {.leading_dimension = s.k},
                              .b = weight_slice(s),
                              .d = {.leading_dimension = s.c},
                              .input = kType<T>,
                              .output = kType<T>};
  matrix_layer<T>(steps, problem, {.a = args.dy, .b = args.weight, .c = args.residual, .d = args.dx});
}

template <typename T>
void conv2d_backward_weight(ProductSteps& steps, const Conv2dShape& s,
                            const Conv2dBackwardWeightArgs<T, float>& args) {
  add_bias_gradient(steps, output_pixels(s), s.k, args.dy, args.dbias, args.also_dbias);
  if (is_matrix_product(s)) {
    const MatrixProblem problem{.m = s.k,
                                .n = s.c,
                                .k = output_pixels(s),
                                .a = {.leading_dimension = s.k, .transpose = Transpose::kYes},
                                .b = {.leading_dimension = s.c},
                                .d = weight_slice(s),
                                .input = kType<T>,
                                .output = ProductType::kFloat,
                                .beta = 1};
    return steps.matrix_product(problem, {.a = args.dy, .b = args.x, .c = args.dweight, .d = args.dweight});
  }
  constexpr auto kDirection = ConvolutionDirection::kBackwardWeight;
  if constexpr (std::is_same_v<T, float>) {
    steps.convolution(library_problem<T>(s, kDirection, true),
                      {.x = args.x, .w = args.dweight, .y = args.dy});
  } else {
    T* dweight = steps.scratch<T>(s.weight_elements());
    steps.convolution(library_problem<T>(s, kDirection, false), {.x = args.x, .w = dweight, .y = args.dy});
    const int64_t count = s.weight_elements();
    steps.kernel(bytes_of<T>(count) + bytes_of<float>(count, 2),
                 [&](StreamView stream) { cuda::accumulate(count, dweight, args.dweight, stream); });
  }
}

template void conv2d(ProductSteps&, const Conv2dShape&, const Conv2dArgs<float>&);
template void conv2d(ProductSteps&, const Conv2dShape&, const Conv2dArgs<BFloat16>&);
template void conv2d_backward_data(ProductSteps&, const Conv2dShape&, const Conv2dBackwardDataArgs<float>&);
template void conv2d_backward_data(ProductSteps&, const Conv2dShape&,
                                   const Conv2dBackwardDataArgs<BFloat16>&);
template void conv2d_backward_weight(ProductSteps&, const Conv2dShape&,
                                     const Conv2dBackwardWeightArgs<float, float>&);
template void conv2d_backward_weight(ProductSteps&, const Conv2dShape&,
                                     const Conv2dBackwardWeightArgs<BFloat16, float>&);

}  // namespace ddpm::composed
