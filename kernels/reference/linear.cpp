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
std::vector<T> activate(const LinearShape& shape, const T* x) {
  std::vector<T> active(x, x + int64_t{shape.n} * shape.in);
  if (shape.input_activation == Activation::kSilu)
    for (T& value : active) value = silu(value);
  return active;
}

template <typename T>
void input_gradient(const LinearShape& shape, const LinearBackwardArgs<T>& args) {
  parallel_for(shape.n, [&](int64_t n) {
    const T* x = args.x + n * shape.in;
    T* dx = args.dx + n * shape.in;
    std::fill(dx, dx + shape.in, T{0});
    for (int64_t o = 0; o < shape.out; ++o)
      add_scaled(shape.in, args.dy[n * shape.out + o], args.weight + o * shape.in, dx);
    if (shape.input_activation == Activation::kSilu)
      for (int i = 0; i < shape.in; ++i) dx[i] *= silu_derivative(x[i]);
  });
}

}  // namespace

template <typename T>
void linear(const LinearShape& shape, const LinearArgs<T>& args) {
  const std::vector<T> active = activate(shape, args.x);
  parallel_for(shape.out, [&](int64_t o) {
    const T bias = args.bias != nullptr ? args.bias[o] : T{0};
    for (int64_t n = 0; n < shape.n; ++n) {
      const int64_t at = n * shape.out + o;
      const T residual = args.residual != nullptr ? args.residual[at] : T{0};
      args.y[at] = dot(shape.in, active.data() + n * shape.in, args.weight + o * shape.in) + bias + residual;
    }
  });
}

template <typename T>
void linear_backward(const LinearShape& shape, const LinearBackwardArgs<T>& args) {
  const std::vector<T> active = activate(shape, args.x);
  parallel_for(shape.out, [&](int64_t o) {
    double dbias = 0;
    for (int64_t n = 0; n < shape.n; ++n) {
      const T dy = args.dy[n * shape.out + o];
      add_scaled(shape.in, dy, active.data() + n * shape.in, args.dweight + o * shape.in);
      dbias += dy;
    }
    if (args.dbias != nullptr) args.dbias[o] += T(dbias);
  });
  if (args.dx != nullptr) input_gradient(shape, args);
}

template void linear(const LinearShape&, const LinearArgs<float>&);
template void linear(const LinearShape&, const LinearArgs<double>&);
template void linear_backward(const LinearShape&, const LinearBackwardArgs<float>&);
template void linear_backward(const LinearShape&, const LinearBackwardArgs<double>&);

}  // namespace ddpm::reference
