// The reverse process as a table: the noise levels at which the network is evaluated, and the
// coefficients that combine its outputs. It is computed once, in double precision; a step itself is a
// small matrix (kernels/sampler_step.h). The list of samplers is sampler_methods.h.
#pragma once

#include <array>
#include <bit>
#include <vector>

#include "kernels/sampler_step.h"
#include "model/sampling/noise_levels.h"
#include "model/sampling/noise_schedule.h"
#include "model/sampling/sampler_options.h"

namespace ddpm {

struct SamplerTable {
  std::vector<SamplerRow<double>> rows;  // one for each evaluation of the network
  int history_size = 0;                  // images that the method keeps beside x
  double start_deviation = 1;            // of the noise that sampling starts from
};

// InputError if the options contradict each other or the schedule. The noise of row k is stream
// RandomStream::kSampler, member k.
SamplerTable sampler_table(const NoiseSchedule& schedule, const SamplerOptions& options);

// The rows as an executor's buffer of (rows, kSamplerColumns) takes them.
template <typename M>
std::vector<M> flat_rows(const SamplerTable& table) {
  std::vector<M> flat;
  for (const SamplerRow<double>& row : table.rows)
    for (const double value : std::bit_cast<std::array<double, kSamplerColumns>>(row))
      flat.push_back(static_cast<M>(value));
  return flat;
}

}  // namespace ddpm
