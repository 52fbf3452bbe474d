// p = softmax(scale x) over each row, and its backward pass (kernels/softmax.h). Parallel over rows.
#include <algorithm>
#include <cmath>

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {

template <typename T>
void softmax(const SoftmaxParams& params, const SoftmaxArgs<T>& args) {
  parallel_for(params.rows, [&](int64_t row) {
    const T* x = args.x + row * params.length;
    T* p = args.p + row * params.length;
    // Subtracting the maximum changes no quotient and keeps the exponentials from overflowing.
    const double largest = *std::max_element(x, x + params.length);
    double sum = 0;
    for (int i = 0; i < params.length; ++i) sum += std::exp(params.scale * (x[i] - largest));
    for (int i = 0; i < params.length; ++i) p[i] = T(std::exp(params.scale * (x[i] - largest)) / sum);
  });
}

template <typename T>
void softmax_backward(const SoftmaxParams& params, const SoftmaxBackwardArgs<T>& args) {
  parallel_for(params.rows, [&](int64_t row) {
    const T* p = args.p + row * params.length;
    const T* dp = args.dp + row * params.length;
    T* dx = args.dx + row * params.length;
    double mean = 0;
    for (int i = 0; i < params.length; ++i) mean += double(p[i]) * dp[i];
    for (int i = 0; i < params.length; ++i) dx[i] = T(params.scale * p[i] * (dp[i] - mean));
  });
}

template void softmax(const SoftmaxParams&, const SoftmaxArgs<float>&);
template void softmax(const SoftmaxParams&, const SoftmaxArgs<double>&);
template void softmax_backward(const SoftmaxParams&, const SoftmaxBackwardArgs<float>&);
template void softmax_backward(const SoftmaxParams&, const SoftmaxBackwardArgs<double>&);

}  // namespace ddpm::reference
