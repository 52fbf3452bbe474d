// Classifier-free guidance (kernels/guidance.h). Parallel over images.
#include "kernels/guidance.h"

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {

template <typename T>
void guidance(const GuidanceShape& shape, const GuidanceArgs<T>& args) {
  const T* conditional = args.answers;
  const T* unconditional = args.answers + shape.elements();
  parallel_for(shape.n, [&](int64_t n) {
    const int64_t end = (n + 1) * shape.pixels;
    for (int64_t pixel = n * shape.pixels; pixel < end; ++pixel) {
      for (int channel = 0; channel < shape.answer_channels; ++channel) {
        const int64_t at = pixel * shape.answer_channels + channel;
        const T guided = unconditional[at] + T(shape.scale) * (conditional[at] - unconditional[at]);
        args.y[at] = channel < shape.channels ? guided : conditional[at];
      }
    }
  });
}

template void guidance(const GuidanceShape&, const GuidanceArgs<float>&);
template void guidance(const GuidanceShape&, const GuidanceArgs<double>&);

}  // namespace ddpm::reference
