// p = softmax(scale x) over each row, and its backward pass (kernels/softmax.h). Parallel over rows.
#include "kernels/reference/reference.h"
#include "kernels/reference/softmax_row.h"
#include "support/parallel.h"

namespace ddpm::reference {

template <typename T>
void softmax(const SoftmaxParams& params, const SoftmaxArgs<T>& args) {
  parallel_for(params.rows, [&](int64_t row) {
    const int64_t at = row * params.length;
    softmax_row(params.length, T(params.scale), args.x + at, args.p + at);
  });
}

template <typename T>
void softmax_backward(const SoftmaxParams& params, const SoftmaxBackwardArgs<T>& args) {
  parallel_for(params.rows, [&](int64_t row) {
    const int64_t at = row * params.length;
    softmax_row_backward(params.length, T(params.scale), args.p + at, args.dp + at, args.dx + at);
  });
}

template void softmax(const SoftmaxParams&, const SoftmaxArgs<float>&);
template void softmax(const SoftmaxParams&, const SoftmaxArgs<double>&);
template void softmax_backward(const SoftmaxParams&, const SoftmaxBackwardArgs<float>&);
template void softmax_backward(const SoftmaxParams&, const SoftmaxBackwardArgs<double>&);

}  // namespace ddpm::reference
