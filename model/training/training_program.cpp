#include "model/training/training_program.h"

#include <utility>
#include <vector>

#include "model/training/loss_weighting.h"
#include "runtime/program/differentiate.h"
#include "support/error.h"

namespace ddpm {

namespace {

DiffusionParams diffusion_shape(const TrainConfig& config, const TrainingData& data) {
  DiffusionParams shape = config.diffusion;
  shape.n = config.batch;
  shape.h = shape.w = config.network.image_size;
  shape.c = config.network.in_channels;
  shape.dataset_count = data.count;
  shape.timesteps = config.schedule.timesteps;
  shape.seed = config.seed;
  shape.rows = data.rows;
  return shape;
}

LabelParams labels_shape(const TrainConfig& config, const TrainingData& data) {
  LabelParams shape = labels_shape(config.condition);
  shape.n = config.batch;
  shape.dataset_count = data.count;
  shape.seed = config.seed;
  DDPM_CHECK(config.network.class_embedding == ClassEmbedding::kTable &&
             config.network.num_class_embeds == shape.columns());
  return shape;
}

// Appends the gathering of the batch's labels; returns the rows that the network takes.
BufferId add_label_rows(Program& program, const LabelParams& shape, const TrainingBuffers& buffers) {
  const GatherLabels gather{.params = shape,
                            .labels = buffers.labels,
                            .step = buffers.step,
                            .y = program.add_buffer("label_rows", {shape.n, shape.columns()})};
  program.add("gather_labels", Phase::kForward, gather);
  return gather.y;
}

std::vector<float> to_float(const std::vector<double>& values) { return {values.begin(), values.end()}; }

}  // namespace

TrainingProgram training_program(const TrainConfig& config, const TrainingData& data) {
  const UnetConfig& network = config.network;
  const DiffusionParams diffusion = diffusion_shape(config, data);
  const bool is_conditional = config.condition.kind != ConditionKind::kNone;
  const LabelParams labels = is_conditional ? labels_shape(config, data) : LabelParams{};
  TrainingProgram made;
  Program& program = made.program;
  TrainingBuffers& buffers = made.buffers;
  const int batch = config.batch, size = network.image_size, timesteps = diffusion.timesteps;

  const bool is_streamed = data.rows == DatasetRows::kBatchImages;
  buffers.dataset =
      program.add_buffer("dataset", {is_streamed ? batch : data.count, size, size, network.in_channels},
                         Role::kInput, DType::kByte);
  buffers.signal = program.add_buffer("signal", {timesteps}, Role::kInput, DType::kMaster);
  buffers.noise = program.add_buffer("noise", {timesteps}, Role::kInput, DType::kMaster);
  buffers.loss_weight = config.loss_weighting == LossWeighting::kNone
                            ? kNoBuffer
                            : program.add_buffer("loss_weight", {timesteps}, Role::kInput, DType::kMaster);
  buffers.labels =
      is_conditional ? program.add_buffer("labels", {data.count, labels.fields}, Role::kInput, DType::kMaster)
                     : kNoBuffer;
  buffers.step = program.add_buffer("step", {1}, Role::kState, DType::kIndex);
  buffers.t = program.add_buffer("t", {batch}, Role::kState, DType::kMaster);

  const BufferId x_t = program.add_buffer("x_t", {batch, size, size, network.in_channels});
  program.add("diffuse", Phase::kForward,
              Diffuse{.params = diffusion,
                      .dataset = buffers.dataset,
                      .signal = buffers.signal,
                      .noise = buffers.noise,
                      .step = buffers.step,
                      .x_t = x_t,
                      .t = buffers.t});
  if (!is_conditional) buffers.labels = add_labels(program, network, batch);
  const BufferId prediction =
      build_unet(program, network,
                 {.batch = batch,
                  .x = x_t,
                  .t = buffers.t,
                  .labels = is_conditional ? add_label_rows(program, labels, buffers) : buffers.labels,
                  .dropout = config.dropout,
                  .step = buffers.step,
                  .seed = config.seed});
  const BufferId dprediction = program.add_buffer("conv_out.gradient", program.shape(prediction));
  buffers.image_loss = program.add_buffer("image_loss", {batch}, Role::kState, DType::kMaster);
  program.add("loss", Phase::kForward,
              Loss{.params = diffusion,
                   .prediction = prediction,
                   .dataset = buffers.dataset,
                   .signal = buffers.signal,
                   .noise = buffers.noise,
                   .weight = buffers.loss_weight,
                   .t = buffers.t,
                   .step = buffers.step,
                   .dprediction = dprediction,
                   .image_loss = buffers.image_loss});

  program.add("zero_gradients", Phase::kBackward,
              ZeroGradients{.count = program.parameter_elements(), .gradients = program.gradient_arena()});
  differentiate(program, {.output = prediction, .output_gradient = dprediction});

  const Shape arena{program.parameter_elements()}, scalar{1};
  buffers.m = program.add_buffer("adam.m", arena, Role::kState, DType::kMaster);
  buffers.v = program.add_buffer("adam.v", arena, Role::kState, DType::kMaster);
  buffers.ema = program.add_buffer("ema", arena, Role::kState, DType::kMaster);
  buffers.gradient_norm = program.add_buffer("gradient_norm", scalar, Role::kState, DType::kMaster);
  buffers.learning_rate = program.add_buffer("learning_rate", scalar, Role::kState, DType::kMaster);
  AdamEma optimizer{.params = config.optimizer,
                    .step = buffers.step,
                    .gradients = program.gradient_arena(),
                    .parameters = program.parameter_arena(),
                    .m = buffers.m,
                    .v = buffers.v,
                    .ema = buffers.ema,
                    .gradient_norm = buffers.gradient_norm,
                    .learning_rate = buffers.learning_rate};
  optimizer.params.count = program.parameter_elements();
  program.add("adam_ema", Phase::kUpdate, optimizer);
  program.add("step", Phase::kUpdate, AdvanceCounter{buffers.step});
  return made;
}

TrainingProgram training_program(const UnetConfig& network, int batch, const TrainingData& data) {
  TrainConfig config;
  config.network = network;
  config.batch = batch;
  return training_program(config, data);
}

void write_inputs(const TrainingBuffers& buffers, const TrainConfig& config, Executor& executor) {
  const NoiseSchedule schedule(config.schedule);
  executor.write(buffers.signal, to_float(schedule.signal()));
  executor.write(buffers.noise, to_float(schedule.noise_level()));
  if (buffers.loss_weight != kNoBuffer)
    executor.write(buffers.loss_weight, to_float(loss_weights(config.loss_weighting, config.min_snr_gamma,
                                                              schedule, config.diffusion.prediction)));
}

}  // namespace ddpm
