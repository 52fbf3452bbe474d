// Whether a device trains as the CPU does: one training program on both, operation by operation, then as a
// whole step, then over some steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/training/train_config.h"
#include "runtime/report/operation_comparison.h"

namespace ddpm {

// How far a validation is.
struct ValidationProgress {
  int done = 0, total = 0;   // operations, then steps
  std::string next;          // what is compared now
  double part_of_bound = 0;  // the largest up to now; infinite where a value is NaN
};

struct ValidationOptions {
  // Its network, diffusion process, optimiser, batch, dropout and seed are taken; weights begin as PyTorch's
  // whatever it says, since Ho et al.'s leave half of the network without effect. The images are random.
  TrainConfig config;
  ComputePrecision precision = ComputePrecision::kFp32;  // of the device: kFp32 or kBf16
  enum class Reference : uint8_t { kFloat, kDouble } reference = Reference::kFloat;
  int trajectory_steps = 10;
  // Told before each operation and each step; says whether to go on. Empty: to the end.
  std::function<bool(const ValidationProgress&)> watch{};
};

// A number of the whole step on both.
struct StepError {
  std::string what;  // "loss of step 3", "gradient"
  double error = 0;  // relative
  double bound = 0;
};

struct ValidationReport {
  std::vector<OutputError> operations;  // the largest part of its bound first; NaN before all
  // Of the first step the loss, the gradient (2-norm of the difference over all parameters) and its norm,
  // then the loss of each step.
  std::vector<StepError> steps;
  int done = 0, total = 0;  // operations and steps that were compared, and that there are

  bool is_complete() const { return done == total; }
  // All that was compared.
  bool is_within_bounds() const;
};

ValidationReport validate_training(const ValidationOptions& options, const ExecutorFactory& device);

}  // namespace ddpm
