// The convolution and its gradients: the sums of kernels/conv2d.h, term by term.
//
// Forward and data gradient are parallel over rows of the written image, the weight gradient over output
// channels k, so no two threads share an output. The data gradient gathers: it sums over the output
// pixels that read an input pixel. The convolution after upsampling runs the same functions on an
// upsampled copy of x.
#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

bool inside(int i, int size) { return 0 <= i && i < size; }

// The first used channel of the filter at output channel k and tap (r, s).
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

// The output position that reads input position i at tap r, or -1.
int output_position(const Conv2dShape& shape, int i, int r, int outputs) {
  const int distance = i + shape.pad_before - r;
  if (distance < 0 || distance % shape.stride != 0) return -1;
  const int position = distance / shape.stride;
  return position < outputs ? position : -1;
}

}  // namespace

template <typename T>
void conv2d(const Conv2dShape& shape, const Conv2dArgs<T>& args) {
  parallel_for(int64_t{shape.n} * shape.p(), [&](int64_t row) {
    const int n = int(row / shape.p()), p = int(row % shape.p());
    for (int q = 0; q < shape.q(); ++q) {
      for (int k = 0; k < shape.k; ++k) {
        double sum = 0;
        for (int r = 0; r < shape.filter; ++r) {
          for (int s = 0; s < shape.filter; ++s) {
            const int i = p * shape.stride + r - shape.pad_before;
            const int j = q * shape.stride + s - shape.pad_before;
            if (!inside(i, shape.h) || !inside(j, shape.w)) continue;
            const T* x = args.x + x_offset(shape, n, i, j);
            const T* weight = args.weight + weight_offset(shape, k, r, s);
            for (int c = 0; c < shape.c; ++c) sum += double(x[c]) * weight[c];
          }
        }
        const int64_t at = y_offset(shape, n, p, q) + k;
        if (args.bias != nullptr) sum += args.bias[k];
        if (args.residual != nullptr) sum += args.residual[at];
        args.y[at] = T(sum);
      }
    }
  });
}

template <typename T>
void conv2d_backward_data(const Conv2dShape& shape, const Conv2dBackwardDataArgs<T>& args) {
  parallel_for(int64_t{shape.n} * shape.h, [&](int64_t row) {
    const int n = int(row / shape.h), i = int(row % shape.h);
    std::vector<double> sum(shape.c);
    for (int j = 0; j < shape.w; ++j) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (int r = 0; r < shape.filter; ++r) {
        for (int s = 0; s < shape.filter; ++s) {
          const int p = output_position(shape, i, r, shape.p());
          const int q = output_position(shape, j, s, shape.q());
          if (p < 0 || q < 0) continue;
          const T* dy = args.dy + y_offset(shape, n, p, q);
          for (int k = 0; k < shape.k; ++k) {
            const T* weight = args.weight + weight_offset(shape, k, r, s);
            for (int c = 0; c < shape.c; ++c) sum[c] += double(dy[k]) * weight[c];
          }
        }
      }
      const int64_t at = x_offset(shape, n, i, j);
      for (int c = 0; c < shape.c; ++c)
        args.dx[at + c] = T(args.residual != nullptr ? sum[c] + args.residual[at + c] : sum[c]);
    }
  });
}

template <typename T>
void conv2d_backward_weight(const Conv2dShape& shape, const Conv2dBackwardWeightArgs<T>& args) {
  parallel_for(shape.k, [&](int64_t channel) {
    const int k = int(channel);
    std::vector<double> sum(shape.c);
    for (int r = 0; r < shape.filter; ++r) {
      for (int s = 0; s < shape.filter; ++s) {
        std::fill(sum.begin(), sum.end(), 0.0);
        for (int n = 0; n < shape.n; ++n) {
          for (int p = 0; p < shape.p(); ++p) {
            for (int q = 0; q < shape.q(); ++q) {
              const int i = p * shape.stride + r - shape.pad_before;
              const int j = q * shape.stride + s - shape.pad_before;
              if (!inside(i, shape.h) || !inside(j, shape.w)) continue;
              const double dy = args.dy[y_offset(shape, n, p, q) + k];
              const T* x = args.x + x_offset(shape, n, i, j);
              for (int c = 0; c < shape.c; ++c) sum[c] += dy * x[c];
            }
          }
        }
        T* dweight = args.dweight + weight_offset(shape, k, r, s);
        for (int c = 0; c < shape.c; ++c) dweight[c] += T(sum[c]);
      }
    }
    if (args.dbias == nullptr) return;
    double dbias = 0;
    for (int64_t e = k; e < shape.y_elements(); e += shape.k) dbias += args.dy[e];
    args.dbias[k] += T(dbias);
    if (args.also_dbias != nullptr) args.also_dbias[k] += T(dbias);
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
