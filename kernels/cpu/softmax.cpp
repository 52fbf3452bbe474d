// p = softmax(scale x) over each row, and its backward pass (kernels/softmax.h). Parallel over rows; sums
// are in double.
#include <algorithm>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/exponential.h"
#include "support/parallel.h"

namespace ddpm::cpu {
namespace {

// p = softmax(scale x), scale > 0; p may be x. The row's maximum is subtracted first, so no
// exponential overflows.
void softmax_row(int64_t count, float scale, const float* x, float* p) {
  const float largest = *std::max_element(x, x + count);
  for (int64_t i = 0; i < count; ++i) p[i] = exp_nonpositive(scale * (x[i] - largest));
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += double(p[i]);
  const float inverse = float(1 / sum);
  for (int64_t i = 0; i < count; ++i) p[i] *= inverse;
}

// dx = scale p (dp - sum of p dp); dx may be dp.
void softmax_row_backward(int64_t count, float scale, const float* p, const float* dp, float* dx) {
  double mean = 0;
  for (int64_t i = 0; i < count; ++i) mean += double(p[i]) * double(dp[i]);
  for (int64_t i = 0; i < count; ++i) dx[i] = scale * p[i] * (dp[i] - float(mean));
}

}  // namespace

void softmax(const SoftmaxParams& params, const SoftmaxArgs<float>& args) {
  parallel_for(params.rows, [&](int64_t row) {
    const int64_t at = row * params.length;
    softmax_row(params.length, float(params.scale), args.x + at, args.p + at);
  });
}

void softmax_backward(const SoftmaxParams& params, const SoftmaxBackwardArgs<float>& args) {
  parallel_for(params.rows, [&](int64_t row) {
    const int64_t at = row * params.length;
    softmax_row_backward(params.length, float(params.scale), args.p + at, args.dp + at, args.dx + at);
  });
}

}  // namespace ddpm::cpu
