// The fully connected layer: one matrix product forward, two backward.
#include "runtime/library/layers.h"

namespace ddpm::composed {
namespace {

// f(x), the product's input.
template <typename T>
const T* activated(ProductSteps& steps, const LinearShape& s, const T* x) {
  if (s.input_activation == Activation::kNone) return x;
  const int64_t count = int64_t{s.n} * s.in;
  T* active = steps.scratch<T>(count);
  steps.kernel(bytes_of<T>(count, 2), [&](StreamView stream) { cuda::silu(count, x, active, stream); });
  return active;
}

}  // namespace

template <typename T>
void linear(ProductSteps& steps, const LinearShape& s, const LinearArgs<T>& args) {
  const T* active = activated(steps, s, args.x);
  const MatrixProblem problem{.m = s.n,
                              .n = s.out,
                              .k = s.in,
                              .a = {.leading_dimension = s.in},
                              .b = {.leading_dimension = s.in, .transpose = Transpose::kYes},
                              .d = {.leading_dimension = s.out},
                              .input = kType<T>,
                              .output = kType<T>};
  matrix_layer<T>(steps, problem,
                  {.a = active, .b = args.weight, .c = args.residual, .bias = args.bias, .d = args.y});
}

template <typename T>
void linear_backward(ProductSteps& steps, const LinearShape& s, const LinearBackwardArgs<T, float>& args) {
  add_bias_gradient(steps, s.n, s.out, args.dy, args.dbias);
  const T* active = activated(steps, s, args.x);
  const MatrixProblem weight_gradient{.m = s.out,
                                      .n = s.in,
                                      .k = s.n,
                                      .a = {.leading_dimension = s.out, .transpose = Transpose::kYes},
                                      .b = {.leading_dimension = s.in},
                                      .d = {.leading_dimension = s.in},
                                      .input = kType<T>,
                                      .output = ProductType::kFloat,
                                      .beta = 1};
  steps.matrix_product(weight_gradient, {.a = args.dy, .b = active, .c = args.dweight, .d = args.dweight});
  if (args.dx == nullptr) return;
  const MatrixProblem input_gradient{.m = s.n,
                                     .n = s.in,
                                     .k = s.out,
                                     .a = {.leading_dimension = s.out},
                                     .b = {.leading_dimension = s.in},
                                     .d = {.leading_dimension = s.in},
                                     .input = kType<T>,
                                     .output = kType<T>};
  steps.matrix_product(input_gradient, {.a = args.dy, .b = args.weight, .d = args.dx});
  if (s.input_activation == Activation::kSilu)
    steps.kernel(bytes_of<T>(int64_t{s.n} * s.in, 3), [&](StreamView stream) {
      cuda::silu_backward(int64_t{s.n} * s.in, args.x, args.dx, args.dx, stream);
    });
}

template void linear(ProductSteps&, const LinearShape&, const LinearArgs<float>&);
template void linear(ProductSteps&, const LinearShape&, const LinearArgs<BFloat16>&);
template void linear_backward(ProductSteps&, const LinearShape&, const LinearBackwardArgs<float, float>&);
template void linear_backward(ProductSteps&, const LinearShape&, const LinearBackwardArgs<BFloat16, float>&);

}  // namespace ddpm::composed
