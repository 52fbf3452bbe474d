#include "model/sampling/sampling_program.h"

#include "support/error.h"

namespace ddpm {
namespace {

SamplerOutput output_of(const UnetConfig& network) {
  if (network.out_channels == network.in_channels) return SamplerOutput::kMean;
  if (network.out_channels == 2 * network.in_channels) return SamplerOutput::kMeanAndLogVariance;
  throw_input(
      "a network from {} to {} channels cannot be sampled from: it must answer with as many as it is "
      "given, or with twice as many where it predicts variances",
      network.in_channels, network.out_channels);
}

SamplerStepParams step_shape(const SamplingOptions& options) {
  const UnetConfig& network = options.network;
  return {.n = options.batch,
          .h = network.image_size,
          .w = network.image_size,
          .c = network.in_channels,
          .steps = options.steps,
          .history_size = options.history_size,
          .output = output_of(network),
          .copies = options.copies(),
          .start_deviation = options.start_deviation,
          .seed = options.seed};
}

// Appends the guidance where it is wanted; the buffer that holds one answer for each image.
BufferId add_guidance(Program& program, const SamplingOptions& options, BufferId outputs) {
  if (options.copies() == 1) return outputs;
  const UnetConfig& network = options.network;
  const int size = network.image_size;
  Guidance guidance{.params = {.n = options.batch,
                               .pixels = int64_t{size} * size,
                               .channels = network.in_channels,
                               .output_channels = network.out_channels,
                               .scale = options.guidance_scale},
                    .outputs = outputs,
                    .y = program.add_buffer("guided", {options.batch, size, size, network.out_channels})};
  program.add("guidance", Phase::kForward, guidance);
  return guidance.y;
}

// Appends the thresholding of x_0 where it is wanted; the buffer of thresholds or none.
BufferId add_threshold(Program& program, const std::optional<Thresholding>& thresholding,
                       DynamicThreshold operation) {
  if (!thresholding) return kNoBuffer;
  operation.params.ratio = thresholding->ratio;
  operation.params.max_value = thresholding->max_value;
  operation.threshold =
      program.add_buffer("threshold", {operation.params.step.n}, Role::kState, DType::kMaster);
  program.add("dynamic_threshold", Phase::kUpdate, operation);
  return operation.threshold;
}

}  // namespace

SamplingProgram sampling_program(const SamplingOptions& options) {
  const UnetConfig& network = options.network;
  SamplingProgram made;
  Program& program = made.program;
  const int asked = options.copies() * options.batch;
  const Shape image{options.batch, network.image_size, network.image_size, network.in_channels};

  made.table = program.add_buffer("table", {options.steps, kSamplerColumns}, Role::kInput, DType::kMaster);
  made.index = program.add_buffer("index", {1}, Role::kState, DType::kIndex);
  made.first_image = program.add_buffer("first_image", {1}, Role::kState, DType::kIndex);
  made.x = program.add_buffer("x", image, Role::kState, DType::kMaster);
  const BufferId network_input = made.network_input =
      program.add_buffer("network_input", {asked, image[1], image[2], image[3]}, Role::kState);
  const BufferId t = program.add_buffer("t", {asked}, Role::kState, DType::kMaster);
  made.labels = add_labels(program, network, asked);
  const SamplerStepParams shape = step_shape(options);
  program.add("sampler_start", Phase::kStart,
              SamplerStart{.params = shape,
                           .table = made.table,
                           .first_image = made.first_image,
                           .x = made.x,
                           .network_input = network_input,
                           .t = t});
  const BufferId outputs =
      build_unet(program, network, {.batch = asked, .x = network_input, .t = t, .labels = made.labels});
  const BufferId output = add_guidance(program, options, outputs);
  const BufferId threshold = add_threshold(program, options.thresholding,
                                           {.params = {.step = shape},
                                            .output = output,
                                            .table = made.table,
                                            .index = made.index,
                                            .x = made.x,
                                            .threshold = kNoBuffer});
  const BufferId memory = options.history_size > 0
                              ? program.add_buffer("memory",
                                                   {options.history_size, options.batch, network.image_size,
                                                    network.image_size, network.in_channels},
                                                   Role::kState, DType::kMaster)
                              : kNoBuffer;
  program.add("sampler_step", Phase::kUpdate,
              SamplerStep{.params = shape,
                          .output = output,
                          .table = made.table,
                          .index = made.index,
                          .first_image = made.first_image,
                          .x = made.x,
                          .history = memory,
                          .threshold = threshold,
                          .network_input = network_input,
                          .t = t});
  program.add("index", Phase::kUpdate, AdvanceCounter{made.index});
  return made;
}

}  // namespace ddpm
