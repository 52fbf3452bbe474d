#include "model/training/training_program.h"

#include "runtime/program/differentiate.h"
#include "support/error.h"

namespace ddpm {

namespace {

// Appends the gathering of the batch's labels; the rows that the network takes.
BufferId add_label_rows(Program& program, const TrainingOptions& options, const TrainingProgram& made) {
  if (made.labels == kNoBuffer) return kNoBuffer;
  GatherLabels gather{.params = *options.labels, .labels = made.labels, .step = made.step, .y = kNoBuffer};
  gather.params.n = options.batch;
  gather.params.dataset_count = options.dataset_count;
  gather.params.seed = options.seed;
  DDPM_CHECK(options.network.class_embedding == ClassEmbedding::kTable &&
             options.network.num_class_embeds == gather.params.columns());
  gather.y = program.add_buffer("label_rows", {options.batch, gather.params.columns()});
  program.add("gather_labels", Phase::kForward, gather);
  return gather.y;
}

}  // namespace

TrainingProgram training_program(const TrainingOptions& options) {
  const UnetConfig& network = options.network;
  const int size = network.image_size;
  TrainingProgram made;
  Program& program = made.program;
  const Shape image{options.batch, size, size, network.in_channels};

  const bool is_streamed = options.dataset_rows == DatasetRows::kBatchImages;
  made.dataset = program.add_buffer(
      "dataset", {is_streamed ? options.batch : options.dataset_count, size, size, network.in_channels},
      Role::kInput, DType::kByte);
  made.signal = program.add_buffer("signal", {options.timesteps}, Role::kInput, DType::kMaster);
  made.noise = program.add_buffer("noise", {options.timesteps}, Role::kInput, DType::kMaster);
  made.loss_weight =
      options.weighting == LossWeighting::kNone
          ? kNoBuffer
          : program.add_buffer("loss_weight", {options.timesteps}, Role::kInput, DType::kMaster);
  made.labels = options.labels ? program.add_buffer("labels", {options.dataset_count, options.labels->fields},
                                                    Role::kInput, DType::kMaster)
                               : kNoBuffer;
  made.step = program.add_buffer("step", {1}, Role::kState, DType::kIndex);
  made.t = program.add_buffer("t", {options.batch}, Role::kState, DType::kMaster);

  const DiffusionParams diffusion{.n = options.batch,
                                  .h = size,
                                  .w = size,
                                  .c = network.in_channels,
                                  .dataset_count = options.dataset_count,
                                  .timesteps = options.timesteps,
                                  .prediction = options.prediction,
                                  .draw = options.draw,
                                  .reduction = options.reduction,
                                  .horizontal_flip = options.horizontal_flip,
                                  .seed = options.seed,
                                  .rows = options.dataset_rows};
  const BufferId x_t = program.add_buffer("x_t", image);
  program.add("diffuse", Phase::kForward,
              Diffuse{.params = diffusion,
                      .dataset = made.dataset,
                      .signal = made.signal,
                      .noise = made.noise,
                      .step = made.step,
                      .x_t = x_t,
                      .t = made.t});
  const BufferId label_rows = add_label_rows(program, options, made);
  const BufferId prediction = build_unet(program, network,
                                         {.batch = options.batch,
                                          .x = x_t,
                                          .t = made.t,
                                          .labels = label_rows,
                                          .dropout = options.dropout,
                                          .step = made.step,
                                          .seed = options.seed});
  const BufferId dprediction = program.add_buffer("conv_out.gradient", program.shape(prediction));
  made.image_loss = program.add_buffer("image_loss", {options.batch}, Role::kState, DType::kMaster);
  program.add("loss", Phase::kForward,
              Loss{.params = diffusion,
                   .prediction = prediction,
                   .dataset = made.dataset,
                   .signal = made.signal,
                   .noise = made.noise,
                   .weight = made.loss_weight,
                   .t = made.t,
                   .step = made.step,
                   .dprediction = dprediction,
                   .image_loss = made.image_loss});

  program.add("zero_gradients", Phase::kBackward,
              ZeroGradients{.count = program.parameter_elements(), .gradients = program.gradient_arena()});
  differentiate(program, {.output = prediction, .output_gradient = dprediction});

  const Shape arena{program.parameter_elements()}, scalar{1};
  made.m = program.add_buffer("adam.m", arena, Role::kState, DType::kMaster);
  made.v = program.add_buffer("adam.v", arena, Role::kState, DType::kMaster);
  made.ema = program.add_buffer("ema", arena, Role::kState, DType::kMaster);
  made.gradient_norm = program.add_buffer("gradient_norm", scalar, Role::kState, DType::kMaster);
  made.learning_rate = program.add_buffer("learning_rate", scalar, Role::kState, DType::kMaster);
  AdamEma optimiser{.params = options.optimiser,
                    .step = made.step,
                    .gradients = program.gradient_arena(),
                    .parameters = program.parameter_arena(),
                    .m = made.m,
                    .v = made.v,
                    .ema = made.ema,
                    .gradient_norm = made.gradient_norm,
                    .learning_rate = made.learning_rate};
  optimiser.params.count = program.parameter_elements();
  program.add("adam_ema", Phase::kUpdate, optimiser);
  program.add("step", Phase::kUpdate, AdvanceCounter{made.step});
  return made;
}

}  // namespace ddpm
