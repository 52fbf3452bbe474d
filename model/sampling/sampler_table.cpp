#include "model/sampling/sampler_table.h"

namespace ddpm {

SamplerTable sampler_table(const NoiseSchedule& schedule, const SamplerOptions& options) {
  validate(options);
  return sampler_traits(options.method).make_table(schedule, options);
}

}  // namespace ddpm
