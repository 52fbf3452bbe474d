// Nearest upsampling and sum pooling by 2, rescaling of images, and one-hot rows (kernels/resample.h).
//
// Parallel over rows of the written image, or over images. The four pixels of a sum are added left to right,
// top to bottom.
#include <algorithm>

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {

template <typename T>
void upsample_nearest(const ResampleParams& shape, const ResampleArgs<T>& args) {
  const int c = shape.c, width = 2 * shape.w;
  parallel_for(int64_t{shape.n} * 2 * shape.h, [&](int64_t row) {
    const T* from = args.x + (row / 2) * shape.w * c;
    for (int64_t j = 0; j < width; ++j) {
      const int64_t at = (row * width + j) * c;
      for (int k = 0; k < c; ++k) {
        const T value = T(shape.scale) * from[j / 2 * c + k];
        args.y[at + k] = args.residual != nullptr ? value + args.residual[at + k] : value;
      }
    }
  });
}

template <typename T>
void sum_pool(const ResampleParams& shape, const ResampleArgs<T>& args) {
  const int c = shape.c;
  const int64_t row_above_to_below = int64_t{2} * shape.w * c;
  parallel_for(int64_t{shape.n} * shape.h, [&](int64_t row) {
    for (int64_t j = 0; j < shape.w; ++j) {
      const T* above = args.x + 2 * row * row_above_to_below + 2 * j * c;
      const T* below = above + row_above_to_below;
      const int64_t at = (row * shape.w + j) * c;
      for (int k = 0; k < c; ++k) {
        const T value = T(shape.scale) * (((above[k] + above[c + k]) + below[k]) + below[c + k]);
        args.y[at + k] = args.residual != nullptr ? value + args.residual[at + k] : value;
      }
    }
  });
}

template <typename T>
void rescale(const RescaleParams& shape, const RescaleArgs<T>& args) {
  parallel_for(shape.n, [&](int64_t n) {
    const T divisor = args.divisor != nullptr ? args.divisor[n] : T{1};
    const int64_t end = (n + 1) * shape.elements;
    for (int64_t e = n * shape.elements; e < end; ++e)
      args.y[e] = (T(shape.scale) * args.x[e] + T(shape.offset)) / divisor;
  });
}

template <typename T>
void one_hot(const OneHotShape& shape, const OneHotArgs<T>& args) {
  for (int64_t n = 0; n < shape.n; ++n)
    for (int k = 0; k < shape.classes; ++k)
      args.y[n * shape.classes + k] = args.index[n] == T(k) ? T{1} : T{0};
}

template void upsample_nearest(const ResampleParams&, const ResampleArgs<float>&);
template void upsample_nearest(const ResampleParams&, const ResampleArgs<double>&);
template void sum_pool(const ResampleParams&, const ResampleArgs<float>&);
template void sum_pool(const ResampleParams&, const ResampleArgs<double>&);
template void rescale(const RescaleParams&, const RescaleArgs<float>&);
template void rescale(const RescaleParams&, const RescaleArgs<double>&);
template void one_hot(const OneHotShape&, const OneHotArgs<float>&);
template void one_hot(const OneHotShape&, const OneHotArgs<double>&);

}  // namespace ddpm::reference
