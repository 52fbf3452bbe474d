// One training step as a Program: diffuse, network, loss, backward pass, optimizer.
#pragma once

#include <cstdint>

#include "kernels/diffusion.h"
#include "model/training/train_config.h"
#include "runtime/executor.h"
#include "runtime/program/program.h"

namespace ddpm {

// The data set as a training program sees it.
struct TrainingData {
  int64_t count = 1;  // images
  DatasetRows rows = DatasetRows::kEveryImage;
};

// What the user of a training program writes before the first step or reads after one.
struct TrainingBuffers {
  BufferId dataset;        // bytes (data.count, H, W, C): to be bound; or (batch, H, W, C): to be streamed
  BufferId signal, noise;  // (T): sqrt(alpha_bar_t), sqrt(1 - alpha_bar_t)
  BufferId loss_weight;    // (T), see model/training/loss_weighting.h; kNoBuffer with LossWeighting::kNone
  // With a condition the data set's labels (data.count, fields), see kernels/labels.h. Without one the labels
  // (batch, ...) that the network takes, see ClassEmbedding, zero at first; kNoBuffer where it takes none.
  BufferId labels;
  BufferId step;                          // counter: optimizer steps done
  BufferId t;                             // (N): the step's timesteps
  BufferId image_loss;                    // (N)
  BufferId gradient_norm, learning_rate;  // (1)
  BufferId m, v, ema;                     // (parameter_elements): laid out like the parameters
};

struct TrainingProgram {
  Program program;
  TrainingBuffers buffers;
};

// The step that the configuration describes, on a data set whose labels it names if it has a condition.
TrainingProgram training_program(const TrainConfig& config, const TrainingData& data = {});

// The step of a network with every other option at its default: for benchmarks and tests.
TrainingProgram training_program(const UnetConfig& network, int batch, const TrainingData& data = {});

// Writes what follows from the configuration: the noise schedule and the weights of the loss.
void write_inputs(const TrainingBuffers& buffers, const TrainConfig& config, Executor& executor);

}  // namespace ddpm
