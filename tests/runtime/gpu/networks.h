// Small U-Nets for the GPU kernels (channels are whole vectors, even in bf16) that together use every
// operation, and helpers to prepare their training and sampling.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/bfloat16.h"
#include "model/sampling/sampler_table.h"
#include "model/sampling/sampling_program.h"
#include "runtime/executor.h"
#include "tests/runtime/program/small_unet.h"

namespace ddpm {

// Concatenations, multi-head attention, strided and upsampling convolutions, dropout. Attention is over 4x4
// pixels, two bf16 vectors.
inline UnetConfig plain_network() {
  UnetConfig config;
  config.image_size = 8;
  config.block_out_channels = {16, 24};
  config.attention = {false, true};
  config.layers_per_block = 1;
  config.attention_head_dim = 8;
  config.norm_num_groups = 4;
  return config;
}

// FiLM, resampling blocks, labels, and Fourier features with the division of the output that they need.
inline UnetConfig conditional_network() {
  UnetConfig config = plain_network();
  config.resnet_downsampling = {true, true};
  config.resnet_upsampling = {true, true};
  config.mid_block_scale_factor = 1.5;
  config.time_modulation = TimeModulation::kScaleShift;
  config.time_embedding_type = TimeEmbeddingType::kFourier;
  config.class_embedding = ClassEmbedding::kTable;
  config.num_class_embeds = 5;
  config.center_input_sample = true;
  return config;
}

// A learned time embedding, and a second time as the condition.
inline UnetConfig learned_time_network() {
  UnetConfig config = plain_network();
  config.block_out_channels = {16, 16};
  config.attention = {false, false};
  config.downsampling = Downsampling::kPadAround;
  config.time_embedding_type = TimeEmbeddingType::kLearned;
  config.num_train_timesteps = 20;
  config.class_embedding = ClassEmbedding::kTimestep;
  return config;
}

// A condition that is added to the time embedding as it is.
inline UnetConfig identity_network() {
  UnetConfig config = plain_network();
  config.block_out_channels = {16, 16};
  config.attention = {false, false};
  config.class_embedding = ClassEmbedding::kIdentity;
  return config;
}

// A table of class embeddings is trained with classes: all but its last row, the null condition.
inline TrainConfig training_of(const UnetConfig& network) {
  TrainConfig config{.batch = 3,
                     .seed = 5,
                     .network = network,
                     .schedule = {.timesteps = 20},
                     .dropout = 0.2,
                     .optimizer = {.weight_decay = 0.01, .warmup_steps = 2}};
  if (network.class_embedding == ClassEmbedding::kTable) {
    config.condition.kind = ConditionKind::kClasses;
    for (int k = 0; k + 1 < network.num_class_embeds; ++k)
      config.condition.label_names.push_back(std::to_string(k));
  }
  return config;
}

inline TrainingProgram training_program_of(const UnetConfig& network) {
  return training_program(training_of(network), {.count = 10});
}

inline std::vector<uint8_t> random_pixels(const TrainingProgram& made) {
  std::vector<uint8_t> pixels(static_cast<size_t>(element_count(made.program.shape(made.buffers.dataset))));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(random_bits({9, 0}, 0, i));
  return pixels;
}

// Weights that bf16 represents exactly, so that all executors use the same values; large enough that every
// operation matters, while Ho's initialization leaves the residual branches almost zero.
inline std::vector<float> random_weights(const Program& program) {
  std::vector<float> weights(static_cast<size_t>(program.parameter_elements()));
  fill_random<float>(weights, 6, 0.25);
  for (float& weight : weights) weight = to_float(to_bfloat16(weight));
  return weights;
}

// `pixels` must outlive a CPU executor.
inline void prepare_training(const TrainingProgram& made, const std::vector<uint8_t>& pixels,
                             Executor& executor) {
  executor.bind_bytes(made.buffers.dataset, pixels);
  write_inputs(made.buffers, training_of(plain_network()), executor);
  const std::vector<float> weights = random_weights(made.program);
  executor.write_parameters(weights);
  executor.write(made.buffers.ema, weights);
  if (made.buffers.labels == kNoBuffer) return;
  std::vector<float> labels(static_cast<size_t>(element_count(made.program.shape(made.buffers.labels))));
  for (size_t k = 0; k < labels.size(); ++k) labels[k] = k % 3 == 0 ? 1.0f : 0.0f;
  executor.write(made.buffers.labels, labels);
}

}  // namespace ddpm
