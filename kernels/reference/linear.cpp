// The fully connected layer: y = f(x) W^T + bias + residual, and backward
//   dx = (dy W) f'(x),   dW += dy^T f(x),   dbias += sum over n of dy.
//
// f(x) is computed once. Forward and dW are parallel over outputs, dx over images.
#include <vector>

#include "kernels/reference/reference.h"
#include "kernels/reference/silu.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

// f(x) (N, in).
template <typename T>
std::vector<double> activate(const LinearShape& shape, const T* x) {
  std::vector<double> f(x, x + int64_t{shape.n} * shape.in);
  if (shape.input_activation == Activation::kSilu)
    for (double& value : f) value = silu(value);
  return f;
}

}  // namespace

template <typename T>
void linear(const LinearShape& shape, const LinearArgs<T>& args) {
  const std::vector<double> f = activate(shape, args.x);
  parallel_for(shape.out, [&](int64_t o) {
    for (int64_t n = 0; n < shape.n; ++n) {
      double sum = 0;
      for (int64_t i = 0; i < shape.in; ++i) sum += f[n * shape.in + i] * args.weight[o * shape.in + i];
      if (args.bias != nullptr) sum += args.bias[o];
      if (args.residual != nullptr) sum += args.residual[n * shape.out + o];
      args.y[n * shape.out + o] = T(sum);
    }
  });
}

template <typename T>
void linear_backward(const LinearShape& shape, const LinearBackwardArgs<T>& args) {
  const std::vector<double> f = activate(shape, args.x);
  parallel_for(shape.out, [&](int64_t o) {
    for (int64_t i = 0; i < shape.in; ++i) {
      double sum = 0;
      for (int64_t n = 0; n < shape.n; ++n) sum += args.dy[n * shape.out + o] * f[n * shape.in + i];
      args.dweight[o * shape.in + i] += T(sum);
    }
    if (args.dbias == nullptr) return;
    double sum = 0;
    for (int64_t n = 0; n < shape.n; ++n) sum += args.dy[n * shape.out + o];
    args.dbias[o] += T(sum);
  });

  if (args.dx == nullptr) return;
  parallel_for(shape.n, [&](int64_t n) {
    std::vector<double> sum(shape.in);
    for (int64_t o = 0; o < shape.out; ++o)
      for (int64_t i = 0; i < shape.in; ++i)
        sum[i] += double(args.dy[n * shape.out + o]) * args.weight[o * shape.in + i];
    for (int64_t i = 0; i < shape.in; ++i) {
      const double x = args.x[n * shape.in + i];
      const double derivative = shape.input_activation == Activation::kSilu ? silu_derivative(x) : 1;
      args.dx[n * shape.in + i] = T(sum[i] * derivative);
    }
  });
}

template void linear(const LinearShape&, const LinearArgs<float>&);
template void linear(const LinearShape&, const LinearArgs<double>&);
template void linear_backward(const LinearShape&, const LinearBackwardArgs<float>&);
template void linear_backward(const LinearShape&, const LinearBackwardArgs<double>&);

}  // namespace ddpm::reference
