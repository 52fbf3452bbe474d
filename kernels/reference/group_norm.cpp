// Group norm with its fused neighbors: the formulas of kernels/group_norm.h, and the textbook backward pass.
// With dw the gradient of w (through dropout and activation) and sums over the m values of a group,
//   dv    = dw (1 + film scale)
//   dxhat = dv gamma
//   du    = rstd (dxhat - sum(dxhat) / m - xhat sum(dxhat xhat) / m)
// and, summed over the pixels of an image,
//   dgamma = sum of dv xhat,   dbeta = sum of dv,   dshift = dbias = sum of du,
//   dfilm  = [sum of dw v, sum of dw].
//
// Parallel over images; parameter gradients are added in the order of the images.
#include <cmath>
#include <vector>

#include "kernels/reference/noise.h"
#include "kernels/reference/reference.h"
#include "kernels/reference/silu.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

// The intermediate values of image n, in double. Args is the forward or the backward pass's arguments.
template <typename Args>
struct Image {
  const GroupNormParams& params;
  const Args& args;
  int64_t n;

  int group(int c) const { return c / params.channels_per_group(); }
  double values_per_group() const { return double(params.pixels) * params.channels_per_group(); }

  double u(int64_t i, int c) const {
    const int64_t row = n * params.pixels + i;
    double value = c < params.x_channels ? args.x[row * params.x_channels + c]
                                         : args.skip[row * params.skip_channels + c - params.x_channels];
    if (args.shift != nullptr) value += args.shift[n * params.shift_stride + c];
    if (args.bias != nullptr) value += args.bias[c];
    return value;
  }
  double rstd(int c) const { return args.rstd[n * params.groups + group(c)]; }
  double xhat(int64_t i, int c) const {
    return (u(i, c) - args.mean[n * params.groups + group(c)]) * rstd(c);
  }
  double v(int64_t i, int c) const { return xhat(i, c) * args.gamma[c] + args.beta[c]; }
  double film_scale(int c) const {
    return args.film != nullptr ? 1 + double(args.film[n * params.film_stride + c]) : 1;
  }
  double film_shift(int c) const {
    return args.film != nullptr ? args.film[n * params.film_stride + params.channels() + c] : 0;
  }
  double w(int64_t i, int c) const { return v(i, c) * film_scale(c) + film_shift(c); }

  // The dropout factors (pixels, C): 0 or the scale of the kept values.
  std::vector<double> dropout() const {
    const int64_t elements = int64_t{params.pixels} * params.channels();
    std::vector<double> factors(elements, 1.0);
    if (params.dropout > 0)
      fill_dropout_mask({args.dropout.seed, params.dropout_stream},
                        uint64_t(*args.dropout.step) * uint64_t(params.n) + uint64_t(n), params.dropout,
                        elements, factors.data());
    return factors;
  }
};

// Mean and rstd of each group. The variance takes a second pass: E[x^2] - E[x]^2 would cancel.
template <typename T>
void statistics(const Image<GroupNormArgs<T>>& image) {
  const GroupNormParams& params = image.params;
  const double m = image.values_per_group();
  std::vector<double> sum(params.groups), squares(params.groups);
  for (int64_t i = 0; i < params.pixels; ++i)
    for (int c = 0; c < params.channels(); ++c) sum[image.group(c)] += image.u(i, c);
  for (int64_t i = 0; i < params.pixels; ++i)
    for (int c = 0; c < params.channels(); ++c) {
      const double centered = image.u(i, c) - sum[image.group(c)] / m;
      squares[image.group(c)] += centered * centered;
    }
  for (int g = 0; g < params.groups; ++g) {
    image.args.mean[image.n * params.groups + g] = T(sum[g] / m);
    image.args.rstd[image.n * params.groups + g] = T(1 / std::sqrt(squares[g] / m + params.eps));
  }
}

// One image's contribution to the gradients that are summed over images (C).
struct ImageGradients {
  std::vector<double> gamma, beta, bias;
};

// The gradient by w (pixels, C).
template <typename T>
std::vector<double> gradient_of_w(const Image<GroupNormBackwardArgs<T>>& image) {
  const GroupNormParams& params = image.params;
  std::vector<double> dw = image.dropout();
  for (int64_t i = 0; i < params.pixels; ++i)
    for (int c = 0; c < params.channels(); ++c) {
      const int64_t at = i * params.channels() + c;
      dw[at] *= image.args.dy[image.n * params.pixels * params.channels() + at];
      if (params.activation == Activation::kSilu) dw[at] *= silu_derivative(image.w(i, c));
    }
  return dw;
}

template <typename T>
ImageGradients image_backward(const Image<GroupNormBackwardArgs<T>>& image) {
  const GroupNormParams& params = image.params;
  const GroupNormBackwardArgs<T>& args = image.args;
  const int channels = params.channels();
  const double m = image.values_per_group();
  const std::vector<double> dw = gradient_of_w(image);

  ImageGradients sums{std::vector<double>(channels), std::vector<double>(channels),
                      std::vector<double>(channels)};
  std::vector<double> sum_dw(channels), sum_dw_v(channels);
  std::vector<double> sum_dxhat(params.groups), sum_dxhat_xhat(params.groups);
  for (int64_t i = 0; i < params.pixels; ++i)
    for (int c = 0; c < channels; ++c) {
      const double xhat = image.xhat(i, c);
      const double dv = dw[i * channels + c] * image.film_scale(c);
      const double dxhat = dv * args.gamma[c];
      sums.gamma[c] += dv * xhat;
      sums.beta[c] += dv;
      sum_dw[c] += dw[i * channels + c];
      sum_dw_v[c] += dw[i * channels + c] * image.v(i, c);
      sum_dxhat[image.group(c)] += dxhat;
      sum_dxhat_xhat[image.group(c)] += dxhat * xhat;
    }

  for (int64_t i = 0; i < params.pixels; ++i)
    for (int c = 0; c < channels; ++c) {
      const double dxhat = dw[i * channels + c] * image.film_scale(c) * args.gamma[c];
      const double du = image.rstd(c) * (dxhat - sum_dxhat[image.group(c)] / m -
                                         image.xhat(i, c) * sum_dxhat_xhat[image.group(c)] / m);
      sums.bias[c] += du;

      const bool first_source = c < params.x_channels;
      const int64_t row = image.n * params.pixels + i;
      const int64_t at =
          first_source ? row * params.x_channels + c : row * params.skip_channels + c - params.x_channels;
      double dx = du;
      for (const T* addend : first_source ? args.dx_addends : args.dskip_addends)
        if (addend != nullptr) dx += addend[at];
      (first_source ? args.dx : args.dskip)[at] = T(dx);
    }

  for (int c = 0; c < channels; ++c) {
    if (args.dshift != nullptr) args.dshift[image.n * params.shift_stride + c] = T(sums.bias[c]);
    if (args.dfilm == nullptr) continue;
    args.dfilm[image.n * params.film_stride + c] = T(sum_dw_v[c]);
    args.dfilm[image.n * params.film_stride + channels + c] = T(sum_dw[c]);
  }
  return sums;
}

}  // namespace

template <typename T>
void group_norm(const GroupNormParams& params, const GroupNormArgs<T>& args) {
  parallel_for(params.n, [&](int64_t n) {
    const Image<GroupNormArgs<T>> image{params, args, n};
    statistics(image);
    const std::vector<double> dropout = image.dropout();
    for (int64_t i = 0; i < params.pixels; ++i)
      for (int c = 0; c < params.channels(); ++c) {
        const int64_t at = i * params.channels() + c;
        const double w = image.w(i, c);
        const double y = params.activation == Activation::kSilu ? silu(w) : w;
        args.y[n * params.pixels * params.channels() + at] = T(y * dropout[at]);
      }
  });
}

template <typename T>
void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<T>& args) {
  std::vector<ImageGradients> images(params.n);
  parallel_for(params.n, [&](int64_t n) {
    images[n] = image_backward(Image<GroupNormBackwardArgs<T>>{params, args, n});
  });
  for (int c = 0; c < params.channels(); ++c) {
    double dgamma = 0, dbeta = 0, dbias = 0;
    for (const ImageGradients& image : images) {
      dgamma += image.gamma[c];
      dbeta += image.beta[c];
      dbias += image.bias[c];
    }
    args.dgamma[c] += T(dgamma);
    args.dbeta[c] += T(dbeta);
    if (args.dbias != nullptr) args.dbias[c] += T(dbias);
  }
}

template void group_norm(const GroupNormParams&, const GroupNormArgs<float>&);
template void group_norm(const GroupNormParams&, const GroupNormArgs<double>&);
template void group_norm_backward(const GroupNormParams&, const GroupNormBackwardArgs<float>&);
template void group_norm_backward(const GroupNormParams&, const GroupNormBackwardArgs<double>&);

}  // namespace ddpm::reference
