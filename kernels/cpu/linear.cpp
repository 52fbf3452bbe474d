// The fully connected layer: y = f(x) W^T + bias + residual, and backward
//   dx = (dy W) f'(x),  dW += dy^T f(x),  dbias += sum over n of dy.
//
// f(x) is computed once into a scratch matrix, since every output reads it. Forward and dW are parallel over
// outputs, so one thread reads each row of W; dx is parallel over images.
#include <algorithm>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/silu.h"
#include "kernels/cpu/vector.h"
#include "support/parallel.h"

namespace ddpm::cpu {
namespace {

std::vector<float> activate(const LinearShape& shape, const float* x) {
  std::vector<float> active(x, x + int64_t{shape.n} * shape.in);
  if (shape.input_activation == Activation::kSilu)
    for (float& value : active) value = silu(value);
  return active;
}

void input_gradient(const LinearShape& shape, const LinearBackwardArgs<float>& args) {
  parallel_for(shape.n, [&](int64_t n) {
    const float* x = args.x + n * shape.in;
    float* dx = args.dx + n * shape.in;
    std::fill(dx, dx + shape.in, 0.0F);
    for (int64_t o = 0; o < shape.out; ++o)
      add_scaled(shape.in, args.dy[n * shape.out + o], args.weight + o * shape.in, dx);
    if (shape.input_activation == Activation::kSilu)
      for (int i = 0; i < shape.in; ++i) dx[i] *= silu_derivative(x[i]);
  });
}

}  // namespace

void linear(const LinearShape& shape, const LinearArgs<float>& args) {
  const std::vector<float> active = activate(shape, args.x);
  parallel_for(shape.out, [&](int64_t o) {
    const float bias = args.bias != nullptr ? args.bias[o] : 0.0F;
    for (int64_t n = 0; n < shape.n; ++n) {
      const int64_t at = n * shape.out + o;
      const float residual = args.residual != nullptr ? args.residual[at] : 0.0F;
      args.y[at] = dot(shape.in, active.data() + n * shape.in, args.weight + o * shape.in) + bias + residual;
    }
  });
}

void linear_backward(const LinearShape& shape, const LinearBackwardArgs<float>& args) {
  const std::vector<float> active = activate(shape, args.x);
  parallel_for(shape.out, [&](int64_t o) {
    double dbias = 0;
    for (int64_t n = 0; n < shape.n; ++n) {
      const float dy = args.dy[n * shape.out + o];
      add_scaled(shape.in, dy, active.data() + n * shape.in, args.dweight + o * shape.in);
      dbias += dy;
    }
    if (args.dbias != nullptr) args.dbias[o] += float(dbias);
  });
  if (args.dx != nullptr) input_gradient(shape, args);
}

}  // namespace ddpm::cpu
