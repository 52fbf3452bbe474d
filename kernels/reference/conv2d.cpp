// Convolution, as the definition in kernels/conv2d.h says.
//
// Forward and data gradient: parallel over the rows of the image that is written, so no two threads share an
// output. Forward takes dot products over the channels, which are contiguous in x (NHWC) and in the weight
// (KRSC); the data gradient gathers (each input pixel asks which output pixels it reached), which needs no
// atomic additions. Weight gradient: parallel over output channels k; the sum over a row of pixels is taken
// in T and the rows are added in double, for it is the longest sum of all (N*P*Q terms). The convolution
// after upsampling is the same functions around an upsampled copy: the definition, literally.
#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/reference/reference.h"
#include "kernels/reference/vector.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

bool inside(int i, int size) { return 0 <= i && i < size; }

// The filter's channels that are used, at output channel k and tap (r, s).
int64_t weight_offset(const Conv2dShape& shape, int k, int r, int s) {
  return ((int64_t{k} * shape.filter + r) * shape.filter + s) * shape.weight_channels +
         shape.weight_channel_begin;
}

int64_t x_offset(const Conv2dShape& shape, int n, int i, int j) {
  return ((int64_t{n} * shape.h + i) * shape.w + j) * shape.c;
}

int64_t y_offset(const Conv2dShape& shape, int n, int p, int q) {
  return ((int64_t{n} * shape.p() + p) * shape.q() + q) * shape.k;
}

// sum[k] = the filters' answer at output pixel (p, q) of image n.
template <typename T>
void convolve_pixel(const Conv2dShape& shape, const T* x, const T* weight, int n, int p, int q, T* sum) {
  std::fill(sum, sum + shape.k, T{0});
  for (int r = 0; r < shape.filter; ++r) {
    const int i = p * shape.stride + r - shape.pad_before;
    if (!inside(i, shape.h)) continue;
    for (int s = 0; s < shape.filter; ++s) {
      const int j = q * shape.stride + s - shape.pad_before;
      if (!inside(j, shape.w)) continue;
      const T* pixel = x + x_offset(shape, n, i, j);
      for (int k = 0; k < shape.k; ++k) sum[k] += dot(shape.c, pixel, weight + weight_offset(shape, k, r, s));
    }
  }
}

// The output position that reads input position i at tap r, or -1.
int output_position(const Conv2dShape& shape, int i, int r, int outputs) {
  const int distance = i + shape.pad_before - r;
  if (distance < 0 || distance % shape.stride != 0) return -1;
  const int position = distance / shape.stride;
  return position < outputs ? position : -1;
}

// sum[c] = the gradient that reaches input pixel (i, j) of image n.
template <typename T>
void gather_pixel(const Conv2dShape& shape, const T* dy, const T* weight, int n, int i, int j, T* sum) {
  std::fill(sum, sum + shape.c, T{0});
  for (int r = 0; r < shape.filter; ++r) {
    const int p = output_position(shape, i, r, shape.p());
    if (p < 0) continue;
    for (int s = 0; s < shape.filter; ++s) {
      const int q = output_position(shape, j, s, shape.q());
      if (q < 0) continue;
      const T* pixel = dy + y_offset(shape, n, p, q);
      for (int k = 0; k < shape.k; ++k)
        add_scaled(shape.c, pixel[k], weight + weight_offset(shape, k, r, s), sum);
    }
  }
}

// total[c] = sum over all pixels of dy[.., k] x[.., c], for the tap (r, s).
template <typename T>
void correlate_tap(const Conv2dShape& shape, const T* x, const T* dy, int k, int r, int s, T* row,
                   double* total) {
  std::fill(total, total + shape.c, 0.0);
  for (int n = 0; n < shape.n; ++n) {
    for (int p = 0; p < shape.p(); ++p) {
      const int i = p * shape.stride + r - shape.pad_before;
      if (!inside(i, shape.h)) continue;
      std::fill(row, row + shape.c, T{0});
      for (int q = 0; q < shape.q(); ++q) {
        const int j = q * shape.stride + s - shape.pad_before;
        if (!inside(j, shape.w)) continue;
        add_scaled(shape.c, dy[y_offset(shape, n, p, q) + k], x + x_offset(shape, n, i, j), row);
      }
      for (int c = 0; c < shape.c; ++c) total[c] += row[c];
    }
  }
}

template <typename T>
double sum_of_channel(const Conv2dShape& shape, const T* dy, int k) {
  double sum = 0;
  for (int64_t e = k; e < shape.y_elements(); e += shape.k) sum += dy[e];
  return sum;
}

}  // namespace

template <typename T>
void conv2d(const Conv2dShape& shape, const Conv2dArgs<T>& args) {
  parallel_for(int64_t{shape.n} * shape.p(), [&](int64_t row) {
    const int n = int(row / shape.p()), p = int(row % shape.p());
    std::vector<T> sum(shape.k);
    for (int q = 0; q < shape.q(); ++q) {
      convolve_pixel(shape, args.x, args.weight, n, p, q, sum.data());
      const int64_t at = y_offset(shape, n, p, q);
      for (int k = 0; k < shape.k; ++k) {
        const T bias = args.bias != nullptr ? args.bias[k] : T{0};
        const T residual = args.residual != nullptr ? args.residual[at + k] : T{0};
        args.y[at + k] = sum[k] + bias + residual;
      }
    }
  });
}

template <typename T>
void conv2d_backward_data(const Conv2dShape& shape, const Conv2dBackwardDataArgs<T>& args) {
  parallel_for(int64_t{shape.n} * shape.h, [&](int64_t row) {
    const int n = int(row / shape.h), i = int(row % shape.h);
    std::vector<T> sum(shape.c);
    for (int j = 0; j < shape.w; ++j) {
      gather_pixel(shape, args.dy, args.weight, n, i, j, sum.data());
      const int64_t at = x_offset(shape, n, i, j);
      for (int c = 0; c < shape.c; ++c)
        args.dx[at + c] = sum[c] + (args.residual != nullptr ? args.residual[at + c] : T{0});
    }
  });
}

template <typename T>
void conv2d_backward_weight(const Conv2dShape& shape, const Conv2dBackwardWeightArgs<T>& args) {
  parallel_for(shape.k, [&](int64_t channel) {
    const int k = int(channel);
    std::vector<T> row(shape.c);
    std::vector<double> total(shape.c);
    for (int r = 0; r < shape.filter; ++r) {
      for (int s = 0; s < shape.filter; ++s) {
        correlate_tap(shape, args.x, args.dy, k, r, s, row.data(), total.data());
        T* dweight = args.dweight + weight_offset(shape, k, r, s);
        for (int c = 0; c < shape.c; ++c) dweight[c] += T(total[c]);
      }
    }
    if (args.dbias == nullptr) return;
    const T sum = T(sum_of_channel(shape, args.dy, k));
    args.dbias[k] += sum;
    if (args.also_dbias != nullptr) args.also_dbias[k] += sum;
  });
}

template <typename T>
void upsample_conv2d(const UpsampleConv2dShape& shape, const Conv2dArgs<T>& args) {
  const Conv2dShape upsampled = shape.upsampled();
  const auto x = std::make_unique_for_overwrite<T[]>(upsampled.x_elements());
  upsample_nearest(shape.n, shape.h, shape.w, shape.c, args.x, x.get());
  Conv2dArgs<T> upsampled_args = args;
  upsampled_args.x = x.get();
  conv2d(upsampled, upsampled_args);
}

template <typename T>
void upsample_conv2d_backward_data(const UpsampleConv2dShape& shape, const Conv2dBackwardDataArgs<T>& args) {
  const Conv2dShape upsampled = shape.upsampled();
  const auto dx = std::make_unique_for_overwrite<T[]>(upsampled.x_elements());
  conv2d_backward_data<T>(upsampled,
                          {.dy = args.dy, .weight = args.weight, .residual = nullptr, .dx = dx.get()});
  upsample_nearest_backward(shape.n, shape.h, shape.w, shape.c, dx.get(), args.residual, args.dx);
}

template <typename T>
void upsample_conv2d_backward_weight(const UpsampleConv2dShape& shape,
                                     const Conv2dBackwardWeightArgs<T>& args) {
  const Conv2dShape upsampled = shape.upsampled();
  const auto x = std::make_unique_for_overwrite<T[]>(upsampled.x_elements());
  upsample_nearest(shape.n, shape.h, shape.w, shape.c, args.x, x.get());
  Conv2dBackwardWeightArgs<T> upsampled_args = args;
  upsampled_args.x = x.get();
  conv2d_backward_weight(upsampled, upsampled_args);
}

template void conv2d(const Conv2dShape&, const Conv2dArgs<float>&);
template void conv2d(const Conv2dShape&, const Conv2dArgs<double>&);
template void conv2d_backward_data(const Conv2dShape&, const Conv2dBackwardDataArgs<float>&);
template void conv2d_backward_data(const Conv2dShape&, const Conv2dBackwardDataArgs<double>&);
template void conv2d_backward_weight(const Conv2dShape&, const Conv2dBackwardWeightArgs<float>&);
template void conv2d_backward_weight(const Conv2dShape&, const Conv2dBackwardWeightArgs<double>&);
template void upsample_conv2d(const UpsampleConv2dShape&, const Conv2dArgs<float>&);
template void upsample_conv2d(const UpsampleConv2dShape&, const Conv2dArgs<double>&);
template void upsample_conv2d_backward_data(const UpsampleConv2dShape&, const Conv2dBackwardDataArgs<float>&);
template void upsample_conv2d_backward_data(const UpsampleConv2dShape&,
                                            const Conv2dBackwardDataArgs<double>&);
template void upsample_conv2d_backward_weight(const UpsampleConv2dShape&,
                                              const Conv2dBackwardWeightArgs<float>&);
template void upsample_conv2d_backward_weight(const UpsampleConv2dShape&,
                                              const Conv2dBackwardWeightArgs<double>&);

}  // namespace ddpm::reference
