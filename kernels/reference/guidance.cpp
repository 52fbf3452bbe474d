// Classifier-free guidance (kernels/guidance.h). Parallel over images.
#include "kernels/guidance.h"

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {

template <typename T>
void guidance(const GuidanceParams& params, const GuidanceArgs<T>& args) {
  const T* conditional = args.outputs;
  const T* unconditional = args.outputs + params.elements();
  parallel_for(params.n, [&](int64_t n) {
    const int64_t end = (n + 1) * params.pixels;
    for (int64_t pixel = n * params.pixels; pixel < end; ++pixel) {
      for (int channel = 0; channel < params.output_channels; ++channel) {
        const int64_t at = pixel * params.output_channels + channel;
        const T guided = unconditional[at] + T(params.scale) * (conditional[at] - unconditional[at]);
        args.y[at] = channel < params.channels ? guided : conditional[at];
      }
    }
  });
}

template void guidance(const GuidanceParams&, const GuidanceArgs<float>&);
template void guidance(const GuidanceParams&, const GuidanceArgs<double>&);

}  // namespace ddpm::reference
