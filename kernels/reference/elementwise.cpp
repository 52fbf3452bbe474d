// Addition, and nearest-neighbor upsampling by 2 with its gradient.
//
// The addition is parallel over blocks of elements, upsampling and its gradient over rows of the output.
#include <algorithm>

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {

template <typename T>
void add(int64_t count, const T* a, const T* b, T* y) {
  constexpr int64_t kBlock = 16384;  // elements: enough to hide the cost of scheduling a block
  parallel_for((count + kBlock - 1) / kBlock, [&](int64_t block) {
    const int64_t end = std::min(count, (block + 1) * kBlock);
    for (int64_t i = block * kBlock; i < end; ++i) y[i] = a[i] + b[i];
  });
}

template <typename T>
void upsample_nearest(int n, int h, int w, int c, const T* x, T* y) {
  parallel_for(int64_t{n} * 2 * h, [&](int64_t row) {
    const T* from = x + (row / 2) * w * c;
    T* to = y + row * 2 * w * c;
    for (int j = 0; j < 2 * w; ++j) std::copy_n(from + int64_t{j / 2} * c, c, to + int64_t{j} * c);
  });
}

template <typename T>
void upsample_nearest_backward(int n, int h, int w, int c, const T* dy, const T* residual, T* dx) {
  const int64_t dy_row = int64_t{2} * w * c;
  parallel_for(int64_t{n} * h, [&](int64_t row) {
    for (int j = 0; j < w; ++j) {
      const T* above = dy + 2 * row * dy_row + int64_t{2} * j * c;
      const T* below = above + dy_row;
      const int64_t at = (row * w + j) * c;
      for (int k = 0; k < c; ++k) {
        const T sum = ((above[k] + above[c + k]) + below[k]) + below[c + k];
        dx[at + k] = residual != nullptr ? sum + residual[at + k] : sum;
      }
    }
  });
}

template void add(int64_t, const float*, const float*, float*);
template void add(int64_t, const double*, const double*, double*);
template void upsample_nearest(int, int, int, int, const float*, float*);
template void upsample_nearest(int, int, int, int, const double*, double*);
template void upsample_nearest_backward(int, int, int, int, const float*, const float*, float*);
template void upsample_nearest_backward(int, int, int, int, const double*, const double*, double*);

}  // namespace ddpm::reference
