// Compares training on a device with the CPU: one training program on both, operation by operation, then a
// whole step, then several steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/training/train_config.h"
#include "runtime/report/operation_comparison.h"

namespace ddpm {

// Progress of a validation.
struct ValidationProgress {
  int done = 0, total = 0;   // operations, then steps
  std::string next;          // being compared
  double part_of_bound = 0;  // the largest so far; infinite for NaN
};

struct ValidationOptions {
  // Of its options those of network, diffusion, optimizer, batch, dropout and seed matter. Weights start as
  // PyTorch's in any case, since Ho et al.'s leave half of the network without effect. The images are random.
  TrainConfig config;
  ComputePrecision precision = ComputePrecision::kFp32;  // of the device: kFp32 or kBf16
  enum class Reference : uint8_t { kFloat, kDouble } reference = Reference::kFloat;
  int trajectory_steps = 10;
  // Called before each operation and each step; returns whether to go on.
  std::function<bool(const ValidationProgress&)> watch{};
};

// A value of the whole step, compared.
struct StepError {
  std::string what;  // "loss of step 3", "gradient"
  double error = 0;  // relative
  double bound = 0;
};

struct ValidationReport {
  std::vector<OutputError> operations;  // the largest part of its bound first; NaN before all others
  // Loss, gradient (2-norm of the difference over all parameters) and gradient norm of the first step, then
  // the loss of each step.
  std::vector<StepError> steps;
  int done = 0, total = 0;  // operations and steps

  bool is_complete() const { return done == total; }
  // Everything that was compared.
  bool is_within_bounds() const;
};

ValidationReport validate_training(const ValidationOptions& options, const ExecutorFactory& device);

}  // namespace ddpm
