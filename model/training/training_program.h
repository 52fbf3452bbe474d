// One training step as a Program: diffuse, network, loss, backward pass, optimiser.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/adam_ema.h"
#include "kernels/diffusion.h"
#include "kernels/labels.h"
#include "model/training/loss_weighting.h"
#include "model/unet/unet.h"
#include "runtime/program/program.h"

namespace ddpm {

struct TrainingOptions {
  UnetConfig network;
  int batch = 128;
  int64_t dataset_count = 1;
  DatasetRows dataset_rows = DatasetRows::kEveryImage;
  int timesteps = 1000;
  Prediction prediction = Prediction::kEpsilon;
  TimestepDraw draw = TimestepDraw::kUniform;
  LossReduction reduction = LossReduction::kMean;
  LossWeighting weighting = LossWeighting::kNone;
  bool horizontal_flip = true;
  std::optional<LabelParams> labels{};  // of a conditional network; n, dataset_count and seed are filled in
  double dropout = 0;
  uint64_t seed = 0;
  AdamParams optimiser{};  // count is filled in
};

// The program and the buffers that its user writes before the first step or reads after one.
struct TrainingProgram {
  Program program;
  BufferId dataset;        // bytes (dataset_count, H, W, C): to be bound; or (batch, H, W, C): to be streamed
  BufferId signal, noise;  // (T): sqrt(alpha_bar_t), sqrt(1 - alpha_bar_t)
  BufferId loss_weight;    // (T), see model/training/loss_weighting.h; kNoBuffer with LossWeighting::kNone
  BufferId labels;         // (dataset_count, fields), see kernels/labels.h; kNoBuffer without a condition
  BufferId step;           // counter: optimiser steps done
  BufferId t;              // (N): the step's timesteps
  BufferId image_loss;     // (N)
  BufferId gradient_norm, learning_rate;  // (1)
  BufferId m, v, ema;                     // (parameter_elements): laid out like the parameters
};

TrainingProgram training_program(const TrainingOptions& options);

}  // namespace ddpm
