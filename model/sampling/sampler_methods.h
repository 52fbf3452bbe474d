// DDPM, DDIM, DPM-Solver++, UniPC, Euler and Heun, by family: each makes its table. Called by
// model/sampling/sampler_table.cpp with options that passed validate().
#pragma once

#include "model/sampling/linear_form.h"
#include "model/sampling/sampler_table.h"

namespace ddpm {

// A row that asks the network at this level and clips as the options say; its weights are still zero.
SamplerRow<double> row_at(const NoiseLevel& level, const SamplerOptions& options);

// `form` becomes the row's next x, or its next history i.
void set_x(SamplerRow<double>& row, const LinearForm& form);
void set_history(SamplerRow<double>& row, int i, const LinearForm& form);

// model/sampling/ddpm_ddim_samplers.cpp: DDPM and DDIM
SamplerTable ancestral_table(const NoiseSchedule& schedule, const SamplerOptions& options);

// model/sampling/dpm_solver.cpp: DPM-Solver++ and its SDE form
SamplerTable dpm_solver_table(const std::vector<NoiseLevel>& levels, const SamplerOptions& options);

// model/sampling/unipc.cpp
SamplerTable unipc_table(const std::vector<NoiseLevel>& levels, const SamplerOptions& options);

// model/sampling/euler_heun_samplers.cpp: Euler, Euler ancestral and Heun
SamplerTable euler_table(const std::vector<NoiseLevel>& levels, const SamplerOptions& options);
SamplerTable heun_table(const std::vector<NoiseLevel>& levels, const SamplerOptions& options);

}  // namespace ddpm
