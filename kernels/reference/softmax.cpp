// p = softmax(scale x) over each row, and its backward pass (kernels/softmax.h). Parallel over rows.
#include <algorithm>
#include <cmath>

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {

template <typename T>
void softmax(const SoftmaxShape& shape, const SoftmaxArgs<T>& args) {
  parallel_for(shape.rows, [&](int64_t row) {
    const T* x = args.x + row * shape.length;
    T* p = args.p + row * shape.length;
    // Subtracting the maximum changes no quotient and keeps the exponentials from overflowing.
    const double largest = *std::max_element(x, x + shape.length);
    double sum = 0;
    for (int i = 0; i < shape.length; ++i) sum += std::exp(shape.scale * (x[i] - largest));
    for (int i = 0; i < shape.length; ++i) p[i] = T(std::exp(shape.scale * (x[i] - largest)) / sum);
  });
}

template <typename T>
void softmax_backward(const SoftmaxShape& shape, const SoftmaxBackwardArgs<T>& args) {
  parallel_for(shape.rows, [&](int64_t row) {
    const T* p = args.p + row * shape.length;
    const T* dp = args.dp + row * shape.length;
    T* dx = args.dx + row * shape.length;
    double mean = 0;
    for (int i = 0; i < shape.length; ++i) mean += double(p[i]) * dp[i];
    for (int i = 0; i < shape.length; ++i) dx[i] = T(shape.scale * p[i] * (dp[i] - mean));
  });
}

template void softmax(const SoftmaxShape&, const SoftmaxArgs<float>&);
template void softmax(const SoftmaxShape&, const SoftmaxArgs<double>&);
template void softmax_backward(const SoftmaxShape&, const SoftmaxBackwardArgs<float>&);
template void softmax_backward(const SoftmaxShape&, const SoftmaxBackwardArgs<double>&);

}  // namespace ddpm::reference
