// Classifier-free guidance (Ho & Salimans 2022): from the model's outputs with and without a condition, one
// that goes beyond the conditional one.
//
//   y = unconditional + scale (conditional - unconditional)
//
// Equation 6 of the paper reads (1 + w) conditional - w unconditional, so scale = 1 + w: the convention of
// Imagen and of diffusers' guidance_scale, in which 1 is the conditional output alone and 0 the unconditional
// one. The equation is about eps; but given x_t, each of eps, x0 and v is an affine function of the others,
// and an affine function commutes with a sum whose weights add up to 1: one operation serves all three.
#pragma once

#include <cstdint>

#include "kernels/operation.h"

namespace ddpm {

struct GuidanceParams {
  int n = 1;
  int64_t pixels = 1;  // of an image
  int channels = 3;    // that guidance applies to: the prediction
  int output_channels =
      3;  // of the model; the rest, a learned variance, is taken from the conditional output
  double scale = 1;

  int64_t elements() const { return n * pixels * output_channels; }  // of y
  bool operator==(const GuidanceParams&) const = default;
};

// outputs (2, N, pixels, output_channels): first all conditional ones, then all unconditional ones.
// y (N, pixels, output_channels).
template <typename T>
struct GuidanceArgs {
  const T* outputs;
  T* y;
};

inline Cost cost(const GuidanceParams& s, int element_bytes) {
  return {3.0 * double(s.elements()), 3.0 * element_bytes * double(s.elements())};
}

namespace reference {
template <typename T>
void guidance(const GuidanceParams& params, const GuidanceArgs<T>& args);
}  // namespace reference

// guidance.cu. Any image size.
namespace cuda {
template <typename T>
void guidance(const GuidanceParams& params, const GuidanceArgs<T>& args, StreamView stream);
}  // namespace cuda

struct Guidance {
  GuidanceParams params;
  BufferId outputs, y;

  static constexpr const char* kKind = "guidance";
  template <typename Memory>
  auto args(Memory&& m) const {
    return GuidanceArgs<ComputeType<Memory>>{.outputs = m.read("outputs", outputs), .y = m.write("y", y)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(params, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const {
    // Two nearly equal outputs, and their difference times the scale.
    return {.terms = 3, .amplification = 1 + 2 * params.scale};
  }
  template <typename T>
  void compute(const GuidanceArgs<T>& args) const {
    reference::guidance<T>(params, args);
  }
  template <typename T>
  void launch(const GuidanceArgs<T>& args, const LaunchOn& on) const {
    cuda::guidance<T>(params, args, on.stream);
  }
};

}  // namespace ddpm
