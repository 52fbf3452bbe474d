// Group normalisation with its neighbours (kernels/group_norm.h), forward and backward.
//
// With e[c] = shift[n,c] + bias[c] - mean[n,g] the centred value of channel c is x + e, and everything up to
// the activation is w = (x + e) * scale + offset, scale = gamma (1 + f) rstd, offset = beta (1 + f) + film
// shift. Backward, with dw the gradient of w (activation and dropout undone), and for each channel the sums
// over pixels
//   A = sum of dw,  B = sum of dw (x + e),  X = sum of (x + e),
// a group of m values with s[c] = gamma (1 + f):
//   du = rstd s dw - rstd S1 / m - (x + e) rstd^3 S2 / m,   S1 = sum over c of s A,  S2 = sum over c of s B.
// The gradients of gamma, beta, FiLM and the shift follow from A, B and X without another pass over the
// pixels.
//
// Parallel over images. Within an image the loops run over pixels, and innermost over channels, which are
// contiguous: each channel has its own sum, so the compiler vectorises without reordering any. Sums are in
// double; gradients of the parameters are kept for each image and added over images in order.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/reference/noise.h"
#include "kernels/reference/reference.h"
#include "kernels/reference/silu.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

// Calls body(row, first) for each source that pixel i of image n has: its channels, and the first one's
// number.
template <typename T, typename Body>
void for_each_source(const GroupNormParams& params, const T* x, const T* skip, int64_t row,
                     const Body& body) {
  body(x + row * params.x_channels, 0, params.x_channels);
  if (params.skip_channels > 0)
    body(skip + row * params.skip_channels, params.x_channels, params.skip_channels);
}

template <typename T>
void add_to(int count, const T* __restrict x, double* __restrict sum) {
  for (int c = 0; c < count; ++c) sum[c] += double(x[c]);
}

template <typename T>
void add_centred_squares(int count, const T* __restrict x, const double* __restrict centre,
                         double* __restrict sum) {
  for (int c = 0; c < count; ++c) {
    const double centred = double(x[c]) + centre[c];
    sum[c] += centred * centred;
  }
}

// sum over each group's channels of value[c].
std::vector<double> group_sums(const GroupNormParams& params, const std::vector<double>& value) {
  std::vector<double> sum(params.groups);
  for (int c = 0; c < params.channels(); ++c) sum[c / params.channels_per_group()] += value[c];
  return sum;
}

// shift + bias of each channel of image n, in double.
template <typename Args>
std::vector<double> input_offsets(const GroupNormParams& params, const Args& args, int64_t n) {
  std::vector<double> offset(params.channels());
  for (int c = 0; c < params.channels(); ++c) {
    if (args.shift != nullptr) offset[c] += double(args.shift[n * params.shift_stride + c]);
    if (args.bias != nullptr) offset[c] += double(args.bias[c]);
  }
  return offset;
}

// Writes mean and rstd of image n: the mean first, then the squares about it, so that nothing cancels.
template <typename T>
void statistics(const GroupNormParams& params, const GroupNormArgs<T>& args, int64_t n) {
  const double m = double(params.pixels) * params.channels_per_group();
  const std::vector<double> offset = input_offsets(params, args, n);
  std::vector<double> sum(params.channels());
  for (int64_t row = n * params.pixels; row < (n + 1) * params.pixels; ++row)
    for_each_source(params, args.x, args.skip, row,
                    [&](const T* x, int first, int count) { add_to(count, x, &sum[first]); });
  for (int c = 0; c < params.channels(); ++c) sum[c] += params.pixels * offset[c];
  const std::vector<double> total = group_sums(params, sum);

  std::vector<double> centre(params.channels()), squares(params.channels());
  for (int c = 0; c < params.channels(); ++c)
    centre[c] = offset[c] - total[c / params.channels_per_group()] / m;
  for (int64_t row = n * params.pixels; row < (n + 1) * params.pixels; ++row)
    for_each_source(params, args.x, args.skip, row, [&](const T* x, int first, int count) {
      add_centred_squares(count, x, &centre[first], &squares[first]);
    });
  const std::vector<double> variance = group_sums(params, squares);

  for (int g = 0; g < params.groups; ++g) {
    args.mean[n * params.groups + g] = T(total[g] / m);
    args.rstd[n * params.groups + g] = T(1 / std::sqrt(variance[g] / m + params.eps));
  }
}

// One image's normalisation as numbers of each channel (see above).
template <typename T>
struct ChannelTerms {
  std::vector<T> centre, scale, offset;
};

template <typename T, typename Args>
double film_scale(const GroupNormParams& params, const Args& args, int64_t n, int c) {
  return args.film != nullptr ? 1 + double(args.film[n * params.film_stride + c]) : 1.0;
}

template <typename T, typename Args>
ChannelTerms<T> channel_terms(const GroupNormParams& params, const Args& args, int64_t n) {
  const int channels = params.channels();
  ChannelTerms<T> terms{std::vector<T>(channels), std::vector<T>(channels), std::vector<T>(channels)};
  const std::vector<double> offset = input_offsets(params, args, n);
  for (int c = 0; c < channels; ++c) {
    const int64_t group = n * params.groups + c / params.channels_per_group();
    const double f = film_scale<T>(params, args, n, c);
    const double film_shift =
        args.film != nullptr ? double(args.film[n * params.film_stride + channels + c]) : 0.0;
    terms.centre[c] = T(offset[c] - double(args.mean[group]));
    terms.scale[c] = T(double(args.rstd[group]) * double(args.gamma[c]) * f);
    terms.offset[c] = T(double(args.beta[c]) * f + film_shift);
  }
  return terms;
}

template <typename T>
void normalise(int count, const T* __restrict x, const T* __restrict centre, const T* __restrict scale,
               const T* __restrict offset, T* __restrict w) {
  for (int c = 0; c < count; ++c) w[c] = (x[c] + centre[c]) * scale[c] + offset[c];
}

// w (C) of one pixel, from both sources.
template <typename T, typename Args>
void normalise_row(const GroupNormParams& params, const Args& args, const ChannelTerms<T>& terms, int64_t row,
                   T* w) {
  for_each_source(params, args.x, args.skip, row, [&](const T* x, int first, int count) {
    normalise(count, x, &terms.centre[first], &terms.scale[first], &terms.offset[first], w + first);
  });
}

template <typename T>
void apply_silu(int count, T* w) {
  for (int c = 0; c < count; ++c) w[c] = silu(w[c]);
}

template <typename T>
void multiply_by_silu_derivative(int count, const T* __restrict w, T* __restrict dw) {
  for (int c = 0; c < count; ++c) dw[c] *= silu_derivative(w[c]);
}

template <typename T>
void multiply(int count, const T* __restrict factor, T* __restrict values) {
  for (int c = 0; c < count; ++c) values[c] *= factor[c];
}

// The image's dropout factors (pixels, C), or nothing where there is no dropout.
template <typename T>
std::unique_ptr<T[]> dropout_mask(const GroupNormParams& params, const DropoutKey& key, int64_t n) {
  if (params.dropout == 0) return nullptr;
  const int64_t elements = int64_t{params.pixels} * params.channels();
  auto mask = std::make_unique_for_overwrite<T[]>(elements);
  fill_dropout_mask({key.seed, params.dropout_stream}, uint64_t(*key.step) * uint64_t(params.n) + uint64_t(n),
                    params.dropout, elements, mask.get());
  return mask;
}

template <typename T>
void normalise_image(const GroupNormParams& params, const GroupNormArgs<T>& args, int64_t n) {
  const int channels = params.channels();
  const ChannelTerms<T> terms = channel_terms<T>(params, args, n);
  const auto mask = dropout_mask<T>(params, args.dropout, n);
  for (int64_t i = 0; i < params.pixels; ++i) {
    const int64_t row = n * params.pixels + i;
    T* y = args.y + row * channels;
    normalise_row(params, args, terms, row, y);
    if (params.activation == Activation::kSilu) apply_silu(channels, y);
    if (mask) multiply(channels, mask.get() + i * channels, y);
  }
}

// The sums over an image's pixels that the backward pass needs, for each channel: A, B and X above.
struct ChannelSums {
  explicit ChannelSums(int channels) : dw(channels), dw_centred(channels), centred(channels) {}
  std::vector<double> dw, dw_centred, centred;
};

template <typename T>
void add_to_sums(int count, const T* __restrict x, const T* __restrict centre, const T* __restrict dw,
                 double* __restrict sum_dw, double* __restrict sum_dw_centred,
                 double* __restrict sum_centred) {
  for (int c = 0; c < count; ++c) {
    const double centred = double(x[c] + centre[c]);
    sum_dw[c] += double(dw[c]);
    sum_dw_centred[c] += double(dw[c]) * centred;
    sum_centred[c] += centred;
  }
}

// dw (pixels, C) of image n, and the sums over it.
template <typename T>
ChannelSums activation_gradient(const GroupNormParams& params, const GroupNormBackwardArgs<T>& args,
                                const ChannelTerms<T>& terms, int64_t n, T* image_dw) {
  const int channels = params.channels();
  const auto mask = dropout_mask<T>(params, args.dropout, n);
  std::vector<T> w(channels);
  ChannelSums sums(channels);
  for (int64_t i = 0; i < params.pixels; ++i) {
    const int64_t row = n * params.pixels + i;
    T* dw = image_dw + i * channels;
    std::copy_n(args.dy + row * channels, channels, dw);
    if (mask) multiply(channels, mask.get() + i * channels, dw);
    if (params.activation == Activation::kSilu) {
      normalise_row(params, args, terms, row, w.data());
      multiply_by_silu_derivative(channels, w.data(), dw);
    }
    for_each_source(params, args.x, args.skip, row, [&](const T* x, int first, int count) {
      add_to_sums(count, x, &terms.centre[first], dw + first, &sums.dw[first], &sums.dw_centred[first],
                  &sums.centred[first]);
    });
  }
  return sums;
}

// The gradient of u is du = scale dw - factor (x + e) - constant, with these numbers of each channel.
template <typename T>
struct InputGradientTerms {
  std::vector<T> factor, constant;
};

template <typename T>
InputGradientTerms<T> input_gradient_terms(const GroupNormParams& params,
                                           const GroupNormBackwardArgs<T>& args, const ChannelSums& sums,
                                           int64_t n) {
  const int channels = params.channels();
  const double m = double(params.pixels) * params.channels_per_group();
  std::vector<double> a(channels), b(channels);
  for (int c = 0; c < channels; ++c) {
    const double s = double(args.gamma[c]) * film_scale<T>(params, args, n, c);
    a[c] = s * sums.dw[c];
    b[c] = s * sums.dw_centred[c];
  }
  const std::vector<double> s1 = group_sums(params, a), s2 = group_sums(params, b);
  InputGradientTerms<T> terms{std::vector<T>(channels), std::vector<T>(channels)};
  for (int c = 0; c < channels; ++c) {
    const int g = c / params.channels_per_group();
    const double rstd = double(args.rstd[n * params.groups + g]);
    terms.factor[c] = T(rstd * rstd * rstd * s2[g] / m);
    terms.constant[c] = T(rstd * s1[g] / m);
  }
  return terms;
}

// One image's part of the gradients that are sums over images (C).
struct ImageGradients {
  std::vector<double> gamma, beta, bias;
};

// Writes dshift and dfilm of image n, and returns what it adds to the other parameters' gradients.
template <typename T>
ImageGradients parameter_gradients(const GroupNormParams& params, const GroupNormBackwardArgs<T>& args,
                                   const ChannelTerms<T>& terms, const InputGradientTerms<T>& input,
                                   const ChannelSums& sums, int64_t n) {
  const int channels = params.channels();
  ImageGradients image{std::vector<double>(channels), std::vector<double>(channels),
                       std::vector<double>(channels)};
  for (int c = 0; c < channels; ++c) {
    const double rstd = double(args.rstd[n * params.groups + c / params.channels_per_group()]);
    const double f = film_scale<T>(params, args, n, c);
    const double dw_xhat = rstd * sums.dw_centred[c];
    image.gamma[c] = f * dw_xhat;
    image.beta[c] = f * sums.dw[c];
    image.bias[c] = double(terms.scale[c]) * sums.dw[c] - double(input.factor[c]) * sums.centred[c] -
                    double(input.constant[c]) * params.pixels;
    if (args.dshift != nullptr) args.dshift[n * params.shift_stride + c] = T(image.bias[c]);
    if (args.dfilm == nullptr) continue;
    T* dfilm = args.dfilm + n * params.film_stride;
    dfilm[c] = T(double(args.gamma[c]) * dw_xhat + double(args.beta[c]) * sums.dw[c]);
    dfilm[channels + c] = T(sums.dw[c]);
  }
  return image;
}

// dw becomes du, in place.
template <typename T>
void input_gradient(int count, const T* __restrict x, const T* __restrict centre, const T* __restrict scale,
                    const T* __restrict factor, const T* __restrict constant, T* __restrict dw) {
  for (int c = 0; c < count; ++c) dw[c] = scale[c] * dw[c] - factor[c] * (x[c] + centre[c]) - constant[c];
}

// dx = du + addends, for one pixel of one source. Each element is read before it is written: dx may be an
// addend.
template <typename T>
void store_with_addends(int count, const T* du, const T* const addends[2], int64_t at, T* dx) {
  const T* first = addends[0];
  const T* second = addends[1];
  if (first == nullptr) std::swap(first, second);
  if (first == nullptr)
    std::copy_n(du, count, dx + at);
  else if (second == nullptr)
    for (int c = 0; c < count; ++c) dx[at + c] = du[c] + first[at + c];
  else
    for (int c = 0; c < count; ++c) dx[at + c] = du[c] + first[at + c] + second[at + c];
}

template <typename T>
ImageGradients image_backward(const GroupNormParams& params, const GroupNormBackwardArgs<T>& args,
                              int64_t n) {
  const int channels = params.channels();
  const ChannelTerms<T> terms = channel_terms<T>(params, args, n);
  const auto image_dw = std::make_unique_for_overwrite<T[]>(int64_t{params.pixels} * channels);
  const ChannelSums sums = activation_gradient(params, args, terms, n, image_dw.get());
  const InputGradientTerms<T> input = input_gradient_terms(params, args, sums, n);

  for (int64_t i = 0; i < params.pixels; ++i) {
    const int64_t row = n * params.pixels + i;
    T* du = image_dw.get() + i * channels;
    for_each_source(params, args.x, args.skip, row, [&](const T* x, int first, int count) {
      input_gradient(count, x, &terms.centre[first], &terms.scale[first], &input.factor[first],
                     &input.constant[first], du + first);
    });
    store_with_addends(params.x_channels, du, args.dx_addends, row * params.x_channels, args.dx);
    if (params.skip_channels > 0)
      store_with_addends(params.skip_channels, du + params.x_channels, args.dskip_addends,
                         row * params.skip_channels, args.dskip);
  }
  return parameter_gradients(params, args, terms, input, sums, n);
}

}  // namespace

template <typename T>
void group_norm(const GroupNormParams& params, const GroupNormArgs<T>& args) {
  parallel_for(params.n, [&](int64_t n) {
    statistics(params, args, n);
    normalise_image(params, args, n);
  });
}

template <typename T>
void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<T>& args) {
  std::vector<ImageGradients> images(params.n);
  parallel_for(params.n, [&](int64_t n) { images[n] = image_backward(params, args, n); });
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
