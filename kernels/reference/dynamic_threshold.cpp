// Dynamic thresholds by partial sorting (kernels/dynamic_threshold.h). Parallel over images.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"
#include "kernels/reference/x0_estimate.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

// Reorders `values`.
template <typename T>
T quantile(std::vector<T>& values, double ratio) {
  const double position = ratio * double(values.size() - 1);
  const auto below = values.begin() + int64_t(position);
  std::nth_element(values.begin(), below, values.end());
  const T low = *below;
  if (below + 1 == values.end()) return low;
  const T high = *std::min_element(below + 1, values.end());
  return low + T(position - std::floor(position)) * (high - low);
}

}  // namespace

template <typename T>
void dynamic_threshold(const DynamicThresholdParams& params, const DynamicThresholdArgs<T>& args) {
  const SamplerRow<T>& row = args.table[*args.index];
  parallel_for(params.step.n, [&](int64_t n) {
    const int64_t elements = params.step.image_elements();
    std::vector<T> magnitudes(elements);
    for (int64_t e = 0; e < elements; ++e) {
      const T output = args.output[output_index(params.step, n, e)];
      magnitudes[e] = std::abs(x0_estimate(row, args.x[n * elements + e], output));
    }
    args.threshold[n] = std::clamp(quantile(magnitudes, params.ratio), T(1), T(params.max_value));
  });
}

template void dynamic_threshold(const DynamicThresholdParams&, const DynamicThresholdArgs<float>&);
template void dynamic_threshold(const DynamicThresholdParams&, const DynamicThresholdArgs<double>&);

}  // namespace ddpm::reference
