// The fully connected layer: one GEMM forward, at most two backward.
#include "runtime/library/lower_layers.h"

namespace ddpm {
namespace {

// f(x), the GEMM's input.
template <typename T>
Place activated(Lowering<T>& to, const LinearParams& p, BufferId x) {
  const Place from = to.compute(x);
  if (p.input_activation == Activation::kNone) return from;
  const int64_t count = int64_t{p.n} * p.in;
  const Place active = to.scratch_elements(count);
  to.kernel(bytes_of<T>(count, 2), [=](const Addresses<T>& at, StreamView stream) {
    cuda::silu<T>(count, at.template of<T>(from), at.template of<T>(active), stream);
  });
  return active;
}

}  // namespace

template <typename T>
void lower_layer(Lowering<T>& to, const Linear& op) {
  const LinearParams& p = op.params;
  const Place active = activated(to, p, op.x);
  gemm_layer(to, {.problem = {.m = p.n,
                              .n = p.out,
                              .k = p.in,
                              .a = {.leading_dimension = p.in},
                              .b = {.leading_dimension = p.in, .transpose = Transpose::kYes},
                              .d = {.leading_dimension = p.out},
                              .input = to.kType,
                              .output = to.kType},
                  .a = active,
                  .b = to.compute(op.weight),
                  .c = to.compute(op.residual),
                  .bias = to.compute(op.bias),
                  .d = to.compute(op.y)});
}

template <typename T>
void lower_layer(Lowering<T>& to, const LinearBackward& op) {
  const LinearParams& p = op.params;
  const Place dy = to.compute(op.dy), dweight = to.master(op.dweight);
  add_bias_gradient(to, p.n, p.out, op.dy, op.dbias);
  const Place active = activated(to, p, op.x);
  to.gemm({.problem = {.m = p.out,
                       .n = p.in,
                       .k = p.n,
                       .a = {.leading_dimension = p.out, .transpose = Transpose::kYes},
                       .b = {.leading_dimension = p.in},
                       .d = {.leading_dimension = p.in},
                       .input = to.kType,
                       .output = ElementType::kFloat,
                       .beta = 1},
           .a = dy,
           .b = active,
           .c = dweight,
           .d = dweight});
  if (op.dx == kNoBuffer) return;
  const Place x = to.compute(op.x), dx = to.compute(op.dx);
  to.gemm({.problem = {.m = p.n,
                       .n = p.in,
                       .k = p.out,
                       .a = {.leading_dimension = p.out},
                       .b = {.leading_dimension = p.in},
                       .d = {.leading_dimension = p.in},
                       .input = to.kType,
                       .output = to.kType},
           .a = dy,
           .b = to.compute(op.weight),
           .d = dx});
  if (p.input_activation == Activation::kNone) return;
  const int64_t count = int64_t{p.n} * p.in;
  to.kernel(bytes_of<T>(count, 3), [=](const Addresses<T>& at, StreamView stream) {
    cuda::silu_backward<T>(count, at.template of<T>(x), at.template of<T>(dx), at.template of<T>(dx), stream);
  });
}

template void lower_layer(Lowering<float>&, const Linear&);
template void lower_layer(Lowering<float>&, const LinearBackward&);
template void lower_layer(Lowering<BFloat16>&, const Linear&);
template void lower_layer(Lowering<BFloat16>&, const LinearBackward&);

}  // namespace ddpm
