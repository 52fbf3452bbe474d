// Group norm with its fused neighbors (kernels/group_norm.h), forward and backward.
//
// With e[c] = shift[n,c] + bias[c] - mean[n,g], the centered value of channel c is x + e, and everything
// before the activation is
//   w = (x + e) * scale + offset,   scale = gamma (1 + f) rstd,   offset = beta (1 + f) + film shift.
// Backward, let dw be the gradient of w (after undoing activation and dropout). With the per-channel
// sums over pixels
//   A = sum of dw,   B = sum of dw (x + e),   X = sum of (x + e),
// m values per group and s[c] = gamma (1 + f),
//   du = rstd s dw - rstd S1 / m - (x + e) rstd^3 S2 / m,   S1 = sum over c of s A,   S2 = sum over c of s B.
// The gradients of gamma, beta, FiLM and the shift follow from A, B and X without another pass
// over the pixels.
//
// Parallel over images. Within an image the loops run over pixels and innermost over channels, which are
// contiguous: each channel has its own sum, so the compiler vectorizes without reordering any. Sums are in
// double; parameter gradients are kept per image and added in the order of the images.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/silu.h"
#include "kernels/reference/noise.h"
#include "support/parallel.h"

namespace ddpm::cpu {
namespace {

// Calls body(x, first, count) for each source of a pixel: its channels at x are channels first .. first +
// count - 1.
template <typename Body>
void for_each_source(const GroupNormParams& params, const float* x, const float* skip, int64_t row,
                     const Body& body) {
  body(x + row * params.x_channels, 0, params.x_channels);
  if (params.skip_channels > 0)
    body(skip + row * params.skip_channels, params.x_channels, params.skip_channels);
}

void add_to(int count, const float* __restrict x, double* __restrict sum) {
  for (int c = 0; c < count; ++c) sum[c] += double(x[c]);
}

void add_centered_squares(int count, const float* __restrict x, const double* __restrict center,
                          double* __restrict sum) {
  for (int c = 0; c < count; ++c) {
    const double centered = double(x[c]) + center[c];
    sum[c] += centered * centered;
  }
}

// sum over each group's channels of value[c].
std::vector<double> group_sums(const GroupNormParams& params, const std::vector<double>& value) {
  std::vector<double> sum(params.groups);
  for (int c = 0; c < params.channels(); ++c) sum[c / params.channels_per_group()] += value[c];
  return sum;
}

// shift + bias of each channel of image n.
template <typename Args>
std::vector<double> input_offsets(const GroupNormParams& params, const Args& args, int64_t n) {
  std::vector<double> offset(params.channels());
  for (int c = 0; c < params.channels(); ++c) {
    if (args.shift != nullptr) offset[c] += double(args.shift[n * params.shift_stride + c]);
    if (args.bias != nullptr) offset[c] += double(args.bias[c]);
  }
  return offset;
}

// Writes mean and rstd of image n in two passes, so that the variance does not cancel.
void statistics(const GroupNormParams& params, const GroupNormArgs<float>& args, int64_t n) {
  const double m = double(params.pixels) * params.channels_per_group();
  const std::vector<double> offset = input_offsets(params, args, n);
  std::vector<double> sum(params.channels());
  for (int64_t row = n * params.pixels; row < (n + 1) * params.pixels; ++row)
    for_each_source(params, args.x, args.skip, row,
                    [&](const float* x, int first, int count) { add_to(count, x, &sum[first]); });
  for (int c = 0; c < params.channels(); ++c) sum[c] += params.pixels * offset[c];
  const std::vector<double> total = group_sums(params, sum);

  std::vector<double> center(params.channels()), squares(params.channels());
  for (int c = 0; c < params.channels(); ++c)
    center[c] = offset[c] - total[c / params.channels_per_group()] / m;
  for (int64_t row = n * params.pixels; row < (n + 1) * params.pixels; ++row)
    for_each_source(params, args.x, args.skip, row, [&](const float* x, int first, int count) {
      add_centered_squares(count, x, &center[first], &squares[first]);
    });
  const std::vector<double> variance = group_sums(params, squares);

  for (int g = 0; g < params.groups; ++g) {
    args.mean[n * params.groups + g] = float(total[g] / m);
    args.rstd[n * params.groups + g] = float(1 / std::sqrt(variance[g] / m + params.eps));
  }
}

// Per-channel terms of one image's normalization (see above).
struct ChannelTerms {
  std::vector<float> center, scale, offset;
};

template <typename Args>
double film_scale(const GroupNormParams& params, const Args& args, int64_t n, int c) {
  return args.film != nullptr ? 1 + double(args.film[n * params.film_stride + c]) : 1.0;
}

template <typename Args>
ChannelTerms channel_terms(const GroupNormParams& params, const Args& args, int64_t n) {
  const int channels = params.channels();
  ChannelTerms terms{std::vector<float>(channels), std::vector<float>(channels),
                     std::vector<float>(channels)};
  const std::vector<double> offset = input_offsets(params, args, n);
  for (int c = 0; c < channels; ++c) {
    const int64_t group = n * params.groups + c / params.channels_per_group();
    const double f = film_scale(params, args, n, c);
    const double film_shift =
        args.film != nullptr ? double(args.film[n * params.film_stride + channels + c]) : 0.0;
    terms.center[c] = float(offset[c] - double(args.mean[group]));
    terms.scale[c] = float(double(args.rstd[group]) * double(args.gamma[c]) * f);
    terms.offset[c] = float(double(args.beta[c]) * f + film_shift);
  }
  return terms;
}

void normalize(int count, const float* __restrict x, const float* __restrict center,
               const float* __restrict scale, const float* __restrict offset, float* __restrict w) {
  for (int c = 0; c < count; ++c) w[c] = (x[c] + center[c]) * scale[c] + offset[c];
}

// w (C) of one pixel, from both sources.
template <typename Args>
void normalize_row(const GroupNormParams& params, const Args& args, const ChannelTerms& terms, int64_t row,
                   float* w) {
  for_each_source(params, args.x, args.skip, row, [&](const float* x, int first, int count) {
    normalize(count, x, &terms.center[first], &terms.scale[first], &terms.offset[first], w + first);
  });
}

void apply_silu(int count, float* w) {
  for (int c = 0; c < count; ++c) w[c] = silu(w[c]);
}

void multiply_by_silu_derivative(int count, const float* __restrict w, float* __restrict dw) {
  for (int c = 0; c < count; ++c) dw[c] *= silu_derivative(w[c]);
}

void multiply(int count, const float* __restrict factor, float* __restrict values) {
  for (int c = 0; c < count; ++c) values[c] *= factor[c];
}

// Dropout factors (pixels, C) of image n, or null without dropout.
std::unique_ptr<float[]> dropout_mask(const GroupNormParams& params, const DropoutKey& key, int64_t n) {
  if (params.dropout == 0) return nullptr;
  const int64_t elements = int64_t{params.pixels} * params.channels();
  auto mask = std::make_unique_for_overwrite<float[]>(elements);
  reference::fill_dropout_mask({key.seed, params.dropout_stream},
                               uint64_t(*key.step) * uint64_t(params.n) + uint64_t(n), params.dropout,
                               elements, mask.get());
  return mask;
}

void normalize_image(const GroupNormParams& params, const GroupNormArgs<float>& args, int64_t n) {
  const int channels = params.channels();
  const ChannelTerms terms = channel_terms(params, args, n);
  const auto mask = dropout_mask(params, args.dropout, n);
  for (int64_t i = 0; i < params.pixels; ++i) {
    const int64_t row = n * params.pixels + i;
    float* y = args.y + row * channels;
    normalize_row(params, args, terms, row, y);
    if (params.activation == Activation::kSilu) apply_silu(channels, y);
    if (mask) multiply(channels, mask.get() + i * channels, y);
  }
}

// Per-channel sums over an image's pixels: A, B and X above.
struct ChannelSums {
  explicit ChannelSums(int channels) : dw(channels), dw_centered(channels), centered(channels) {}
  std::vector<double> dw, dw_centered, centered;
};

void add_to_sums(int count, const float* __restrict x, const float* __restrict center,
                 const float* __restrict dw, double* __restrict sum_dw, double* __restrict sum_dw_centered,
                 double* __restrict sum_centered) {
  for (int c = 0; c < count; ++c) {
    const double centered = double(x[c] + center[c]);
    sum_dw[c] += double(dw[c]);
    sum_dw_centered[c] += double(dw[c]) * centered;
    sum_centered[c] += centered;
  }
}

// dw (pixels, C) of image n, and the sums over it.
ChannelSums activation_gradient(const GroupNormParams& params, const GroupNormBackwardArgs<float>& args,
                                const ChannelTerms& terms, int64_t n, float* image_dw) {
  const int channels = params.channels();
  const auto mask = dropout_mask(params, args.dropout, n);
  std::vector<float> w(channels);
  ChannelSums sums(channels);
  for (int64_t i = 0; i < params.pixels; ++i) {
    const int64_t row = n * params.pixels + i;
    float* dw = image_dw + i * channels;
    std::copy_n(args.dy + row * channels, channels, dw);
    if (mask) multiply(channels, mask.get() + i * channels, dw);
    if (params.activation == Activation::kSilu) {
      normalize_row(params, args, terms, row, w.data());
      multiply_by_silu_derivative(channels, w.data(), dw);
    }
    for_each_source(params, args.x, args.skip, row, [&](const float* x, int first, int count) {
      add_to_sums(count, x, &terms.center[first], dw + first, &sums.dw[first], &sums.dw_centered[first],
                  &sums.centered[first]);
    });
  }
  return sums;
}

// Per-channel terms of du = scale dw - factor (x + e) - constant.
struct InputGradientTerms {
  std::vector<float> factor, constant;
};

InputGradientTerms input_gradient_terms(const GroupNormParams& params,
                                        const GroupNormBackwardArgs<float>& args, const ChannelSums& sums,
                                        int64_t n) {
  const int channels = params.channels();
  const double m = double(params.pixels) * params.channels_per_group();
  std::vector<double> a(channels), b(channels);
  for (int c = 0; c < channels; ++c) {
    const double s = double(args.gamma[c]) * film_scale(params, args, n, c);
    a[c] = s * sums.dw[c];
    b[c] = s * sums.dw_centered[c];
  }
  const std::vector<double> s1 = group_sums(params, a), s2 = group_sums(params, b);
  InputGradientTerms terms{std::vector<float>(channels), std::vector<float>(channels)};
  for (int c = 0; c < channels; ++c) {
    const int g = c / params.channels_per_group();
    const double rstd = double(args.rstd[n * params.groups + g]);
    terms.factor[c] = float(rstd * rstd * rstd * s2[g] / m);
    terms.constant[c] = float(rstd * s1[g] / m);
  }
  return terms;
}

// One image's contribution to the gradients that are summed over images (C).
struct ImageGradients {
  std::vector<double> gamma, beta, bias;
};

// Writes dshift and dfilm of image n and returns its contribution to the other parameter gradients.
ImageGradients parameter_gradients(const GroupNormParams& params, const GroupNormBackwardArgs<float>& args,
                                   const ChannelTerms& terms, const InputGradientTerms& input,
                                   const ChannelSums& sums, int64_t n) {
  const int channels = params.channels();
  ImageGradients image{std::vector<double>(channels), std::vector<double>(channels),
                       std::vector<double>(channels)};
  for (int c = 0; c < channels; ++c) {
    const double rstd = double(args.rstd[n * params.groups + c / params.channels_per_group()]);
    const double f = film_scale(params, args, n, c);
    const double dw_xhat = rstd * sums.dw_centered[c];
    image.gamma[c] = f * dw_xhat;
    image.beta[c] = f * sums.dw[c];
    image.bias[c] = double(terms.scale[c]) * sums.dw[c] - double(input.factor[c]) * sums.centered[c] -
                    double(input.constant[c]) * params.pixels;
    if (args.dshift != nullptr) args.dshift[n * params.shift_stride + c] = float(image.bias[c]);
    if (args.dfilm == nullptr) continue;
    float* dfilm = args.dfilm + n * params.film_stride;
    dfilm[c] = float(double(args.gamma[c]) * dw_xhat + double(args.beta[c]) * sums.dw[c]);
    dfilm[channels + c] = float(sums.dw[c]);
  }
  return image;
}

// Turns dw into du, in place.
void input_gradient(int count, const float* __restrict x, const float* __restrict center,
                    const float* __restrict scale, const float* __restrict factor,
                    const float* __restrict constant, float* __restrict dw) {
  for (int c = 0; c < count; ++c) dw[c] = scale[c] * dw[c] - factor[c] * (x[c] + center[c]) - constant[c];
}

// dx = du + addends, for one pixel of one source. dx may be an addend: each element is read before
// it is written.
void store_with_addends(int count, const float* du, const float* const addends[2], int64_t at, float* dx) {
  const float* first = addends[0];
  const float* second = addends[1];
  if (first == nullptr) std::swap(first, second);
  if (first == nullptr)
    std::copy_n(du, count, dx + at);
  else if (second == nullptr)
    for (int c = 0; c < count; ++c) dx[at + c] = du[c] + first[at + c];
  else
    for (int c = 0; c < count; ++c) dx[at + c] = du[c] + first[at + c] + second[at + c];
}

ImageGradients image_backward(const GroupNormParams& params, const GroupNormBackwardArgs<float>& args,
                              int64_t n) {
  const int channels = params.channels();
  const ChannelTerms terms = channel_terms(params, args, n);
  const auto image_dw = std::make_unique_for_overwrite<float[]>(int64_t{params.pixels} * channels);
  const ChannelSums sums = activation_gradient(params, args, terms, n, image_dw.get());
  const InputGradientTerms input = input_gradient_terms(params, args, sums, n);

  for (int64_t i = 0; i < params.pixels; ++i) {
    const int64_t row = n * params.pixels + i;
    float* du = image_dw.get() + i * channels;
    for_each_source(params, args.x, args.skip, row, [&](const float* x, int first, int count) {
      input_gradient(count, x, &terms.center[first], &terms.scale[first], &input.factor[first],
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

void group_norm(const GroupNormParams& params, const GroupNormArgs<float>& args) {
  parallel_for(params.n, [&](int64_t n) {
    statistics(params, args, n);
    normalize_image(params, args, n);
  });
}

void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<float>& args) {
  std::vector<ImageGradients> images(params.n);
  parallel_for(params.n, [&](int64_t n) { images[n] = image_backward(params, args, n); });
  for (int c = 0; c < params.channels(); ++c) {
    double dgamma = 0, dbeta = 0, dbias = 0;
    for (const ImageGradients& image : images) {
      dgamma += image.gamma[c];
      dbeta += image.beta[c];
      dbias += image.bias[c];
    }
    args.dgamma[c] += float(dgamma);
    args.dbeta[c] += float(dbeta);
    if (args.dbias != nullptr) args.dbias[c] += float(dbias);
  }
}

}  // namespace ddpm::cpu
