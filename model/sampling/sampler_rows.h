// What a sampler writes its table with: the formulas of its paper as linear forms, a row at a time.
#pragma once

#include "model/sampling/linear_form.h"
#include "model/sampling/noise_levels.h"
#include "model/sampling/sampler_options.h"
#include "model/sampling/sampler_table.h"

namespace ddpm {

// A row that evaluates the network at this level and clips as the options say; its weights are still zero.
SamplerRow<double> row_at(const NoiseLevel& level, const SamplerOptions& options);

// `form` becomes the row's next x, or its next history i.
void set_x(SamplerRow<double>& row, const LinearForm& form);
void set_history(SamplerRow<double>& row, int i, const LinearForm& form);

}  // namespace ddpm
