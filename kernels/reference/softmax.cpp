// p = softmax(scale x) over each row, and its backward pass (kernels/softmax.h). Parallel over rows.
#include "kernels/reference/reference.h"
#include "kernels/reference/softmax_row.h"
#include "support/parallel.h"

namespace ddpm::reference {

template <typename T>
void softmax(const SoftmaxShape& shape, const SoftmaxArgs<T>& args) {
  parallel_for(shape.rows, [&](int64_t row) {
    const int64_t at = row * shape.length;
    softmax_row(shape.length, T(shape.scale), args.x + at, args.p + at);
  });
}

template <typename T>
void softmax_backward(const SoftmaxShape& shape, const SoftmaxBackwardArgs<T>& args) {
  parallel_for(shape.rows, [&](int64_t row) {
    const int64_t at = row * shape.length;
    softmax_row_backward(shape.length, T(shape.scale), args.p + at, args.dp + at, args.dx + at);
  });
}

template void softmax(const SoftmaxShape&, const SoftmaxArgs<float>&);
template void softmax(const SoftmaxShape&, const SoftmaxArgs<double>&);
template void softmax_backward(const SoftmaxShape&, const SoftmaxBackwardArgs<float>&);
template void softmax_backward(const SoftmaxShape&, const SoftmaxBackwardArgs<double>&);

}  // namespace ddpm::reference
