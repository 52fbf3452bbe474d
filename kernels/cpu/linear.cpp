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

std::vector<float> activate(const LinearParams& params, const float* x) {
  std::vector<float> active(x, x + int64_t{params.n} * params.in);
  if (params.input_activation == Activation::kSilu)
    for (float& value : active) value = silu(value);
  return active;
}

void input_gradient(const LinearParams& params, const LinearBackwardArgs<float>& args) {
  parallel_for(params.n, [&](int64_t n) {
    const float* x = args.x + n * params.in;
    float* dx = args.dx + n * params.in;
    std::fill(dx, dx + params.in, 0.0F);
    for (int64_t o = 0; o < params.out; ++o)
      add_scaled(params.in, args.dy[n * params.out + o], args.weight + o * params.in, dx);
    if (params.input_activation == Activation::kSilu)
      for (int i = 0; i < params.in; ++i) dx[i] *= silu_derivative(x[i]);
  });
}

}  // namespace

void linear(const LinearParams& params, const LinearArgs<float>& args) {
  const std::vector<float> active = activate(params, args.x);
  parallel_for(params.out, [&](int64_t o) {
    const float bias = args.bias != nullptr ? args.bias[o] : 0.0F;
    for (int64_t n = 0; n < params.n; ++n) {
      const int64_t at = n * params.out + o;
      const float residual = args.residual != nullptr ? args.residual[at] : 0.0F;
      args.y[at] =
          dot(params.in, active.data() + n * params.in, args.weight + o * params.in) + bias + residual;
    }
  });
}

void linear_backward(const LinearParams& params, const LinearBackwardArgs<float>& args) {
  const std::vector<float> active = activate(params, args.x);
  parallel_for(params.out, [&](int64_t o) {
    double dbias = 0;
    for (int64_t n = 0; n < params.n; ++n) {
      const float dy = args.dy[n * params.out + o];
      add_scaled(params.in, dy, active.data() + n * params.in, args.dweight + o * params.in);
      dbias += dy;
    }
    if (args.dbias != nullptr) args.dbias[o] += float(dbias);
  });
  if (args.dx != nullptr) input_gradient(params, args);
}

}  // namespace ddpm::cpu
