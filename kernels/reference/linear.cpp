// The fully connected layer: y = f(x) W^T + bias + residual, and backward
//   dx = (dy W) f'(x),  dW += dy^T f(x),  dbias += sum over n of dy.
//
// f(x) is computed once into a scratch matrix, as every output needs it. Forward and dW are parallel over
// outputs, whose rows of W are then read once by one thread; dx is parallel over the images.
#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/reference/reference.h"
#include "kernels/reference/silu.h"
#include "kernels/reference/vector.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

template <typename T>
std::vector<T> activate(const LinearParams& params, const T* x) {
  std::vector<T> active(x, x + int64_t{params.n} * params.in);
  if (params.input_activation == Activation::kSilu)
    for (T& value : active) value = silu(value);
  return active;
}

template <typename T>
void input_gradient(const LinearParams& params, const LinearBackwardArgs<T>& args) {
  parallel_for(params.n, [&](int64_t n) {
    const T* x = args.x + n * params.in;
    T* dx = args.dx + n * params.in;
    std::fill(dx, dx + params.in, T{0});
    for (int64_t o = 0; o < params.out; ++o)
      add_scaled(params.in, args.dy[n * params.out + o], args.weight + o * params.in, dx);
    if (params.input_activation == Activation::kSilu)
      for (int i = 0; i < params.in; ++i) dx[i] *= silu_derivative(x[i]);
  });
}

}  // namespace

template <typename T>
void linear(const LinearParams& params, const LinearArgs<T>& args) {
  const std::vector<T> active = activate(params, args.x);
  parallel_for(params.out, [&](int64_t o) {
    const T bias = args.bias != nullptr ? args.bias[o] : T{0};
    for (int64_t n = 0; n < params.n; ++n) {
      const int64_t at = n * params.out + o;
      const T residual = args.residual != nullptr ? args.residual[at] : T{0};
      args.y[at] =
          dot(params.in, active.data() + n * params.in, args.weight + o * params.in) + bias + residual;
    }
  });
}

template <typename T>
void linear_backward(const LinearParams& params, const LinearBackwardArgs<T>& args) {
  const std::vector<T> active = activate(params, args.x);
  parallel_for(params.out, [&](int64_t o) {
    double dbias = 0;
    for (int64_t n = 0; n < params.n; ++n) {
      const T dy = args.dy[n * params.out + o];
      add_scaled(params.in, dy, active.data() + n * params.in, args.dweight + o * params.in);
      dbias += dy;
    }
    if (args.dbias != nullptr) args.dbias[o] += T(dbias);
  });
  if (args.dx != nullptr) input_gradient(params, args);
}

template void linear(const LinearParams&, const LinearArgs<float>&);
template void linear(const LinearParams&, const LinearArgs<double>&);
template void linear_backward(const LinearParams&, const LinearBackwardArgs<float>&);
template void linear_backward(const LinearParams&, const LinearBackwardArgs<double>&);

}  // namespace ddpm::reference
