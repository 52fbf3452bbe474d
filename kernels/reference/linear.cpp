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
std::vector<double> activate(const LinearParams& params, const T* x) {
  std::vector<double> f(x, x + int64_t{params.n} * params.in);
  if (params.input_activation == Activation::kSilu)
    for (double& value : f) value = silu(value);
  return f;
}

}  // namespace

template <typename T>
void linear(const LinearParams& params, const LinearArgs<T>& args) {
  const std::vector<double> f = activate(params, args.x);
  parallel_for(params.out, [&](int64_t o) {
    for (int64_t n = 0; n < params.n; ++n) {
      double sum = 0;
      for (int64_t i = 0; i < params.in; ++i) sum += f[n * params.in + i] * args.weight[o * params.in + i];
      if (args.bias != nullptr) sum += args.bias[o];
      if (args.residual != nullptr) sum += args.residual[n * params.out + o];
      args.y[n * params.out + o] = T(sum);
    }
  });
}

template <typename T>
void linear_backward(const LinearParams& params, const LinearBackwardArgs<T>& args) {
  const std::vector<double> f = activate(params, args.x);
  parallel_for(params.out, [&](int64_t o) {
    for (int64_t i = 0; i < params.in; ++i) {
      double sum = 0;
      for (int64_t n = 0; n < params.n; ++n) sum += args.dy[n * params.out + o] * f[n * params.in + i];
      args.dweight[o * params.in + i] += T(sum);
    }
    if (args.dbias == nullptr) return;
    double sum = 0;
    for (int64_t n = 0; n < params.n; ++n) sum += args.dy[n * params.out + o];
    args.dbias[o] += T(sum);
  });

  if (args.dx == nullptr) return;
  parallel_for(params.n, [&](int64_t n) {
    std::vector<double> sum(params.in);
    for (int64_t o = 0; o < params.out; ++o)
      for (int64_t i = 0; i < params.in; ++i)
        sum[i] += double(args.dy[n * params.out + o]) * args.weight[o * params.in + i];
    for (int64_t i = 0; i < params.in; ++i) {
      const double x = args.x[n * params.in + i];
      const double derivative = params.input_activation == Activation::kSilu ? silu_derivative(x) : 1;
      args.dx[n * params.in + i] = T(sum[i] * derivative);
    }
  });
}

template void linear(const LinearParams&, const LinearArgs<float>&);
template void linear(const LinearParams&, const LinearArgs<double>&);
template void linear_backward(const LinearParams&, const LinearBackwardArgs<float>&);
template void linear_backward(const LinearParams&, const LinearBackwardArgs<double>&);

}  // namespace ddpm::reference
