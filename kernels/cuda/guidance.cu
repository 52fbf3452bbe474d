// Classifier-free guidance.
#include <cstdint>

#include "device/launch.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/kernels.h"

namespace ddpm::cuda {
namespace {

constexpr int kThreads = 256;

// Math: kernels/guidance.h.
// Threads: one vector each.
// Shared: none.
// Traffic: reads both model outputs once, writes y once. 3 FLOPs per element.
// Preconditions: kWidth divides the elements of y.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreads)
    guidance_kernel(int64_t elements, int channels, int output_channels, float scale,
                    const T* __restrict__ outputs, T* __restrict__ y) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kWidth;
  if (at >= elements) return;
  float conditional[kWidth];
  float unconditional[kWidth];
  load_columns<kWidth>(outputs + at, conditional);
  load_columns<kWidth>(outputs + elements + at, unconditional);
  int channel = static_cast<int>(at % output_channels);
#pragma unroll
  for (int k = 0; k < kWidth; ++k) {
    if (channel < channels) conditional[k] = unconditional[k] + scale * (conditional[k] - unconditional[k]);
    if (++channel == output_channels) channel = 0;
  }
  store_columns<kWidth>(y + at, conditional);
}

}  // namespace

template <typename T>
void guidance(const GuidanceParams& params, const GuidanceArgs<T>& args, StreamView stream) {
  with_width<Packed<T>::kWidth>(params.elements(), [&](auto width) {
    const int64_t vectors = params.elements() / width;
    launch(guidance_kernel<width(), T>,
           {.grid = ceil_div(vectors, kThreads), .block = kThreads, .stream = stream}, params.elements(),
           params.channels, params.output_channels, params.scale, args.outputs, args.y);
  });
}

template void guidance(const GuidanceParams&, const GuidanceArgs<float>&, StreamView);
template void guidance(const GuidanceParams&, const GuidanceArgs<BFloat16>&, StreamView);

}  // namespace ddpm::cuda
