#include "model/sampling/sampling_program.h"

#include "support/error.h"

namespace ddpm {
namespace {

SamplerOutput output_of(const UnetConfig& network) {
  if (network.out_channels == network.in_channels) return SamplerOutput::kMean;
  if (network.out_channels == 2 * network.in_channels) return SamplerOutput::kMeanAndLogVariance;
  throw_input(
      "a network from {} to {} channels cannot be sampled from: its output must have as many channels as its "
      "input, or twice as many if it predicts variances",
      network.in_channels, network.out_channels);
}

SamplerStepParams step_shape(const GenerationOptions& options, const SamplerTable& table) {
  const UnetConfig& network = options.network;
  return {.n = options.batch,
          .h = network.image_size,
          .w = network.image_size,
          .c = network.in_channels,
          .steps = static_cast<int>(table.rows.size()),
          .history_size = table.history_size,
          .output = output_of(network),
          .copies = options.conditioning.copies(),
          .start_deviation = table.start_deviation,
          .seed = options.seed};
}

// Appends the guidance if there is any; returns the buffer of one model output for each image.
BufferId add_guidance(Program& program, const GenerationOptions& options, BufferId outputs) {
  if (options.conditioning.copies() == 1) return outputs;
  const UnetConfig& network = options.network;
  const int size = network.image_size;
  Guidance guidance{.params = {.n = options.batch,
                               .pixels = int64_t{size} * size,
                               .channels = network.in_channels,
                               .output_channels = network.out_channels,
                               .scale = options.conditioning.guidance_scale},
                    .outputs = outputs,
                    .y = program.add_buffer("guided", {options.batch, size, size, network.out_channels})};
  program.add("guidance", Phase::kForward, guidance);
  return guidance.y;
}

// Appends the thresholding of x_0 if there is any; returns the buffer of thresholds or kNoBuffer.
BufferId add_threshold(Program& program, const SamplerOptions& sampler, DynamicThreshold operation) {
  if (!sampler.thresholding) return kNoBuffer;
  operation.params.ratio = sampler.dynamic_thresholding_ratio;
  operation.params.max_value = sampler.sample_max_value;
  operation.threshold =
      program.add_buffer("threshold", {operation.params.step.n}, Role::kState, DType::kMaster);
  program.add("dynamic_threshold", Phase::kUpdate, operation);
  return operation.threshold;
}

void check(const GenerationOptions& options) {
  if (options.sampler.variance_type == VarianceType::kLearnedRange &&
      options.network.out_channels != 2 * options.network.in_channels)
    throw_input("variance type learned_range needs a network of {} output channels, but this one has {}",
                2 * options.network.in_channels, options.network.out_channels);
  const bool takes_rows = options.network.class_embedding == ClassEmbedding::kTable;
  DDPM_CHECK(takes_rows || (options.conditioning.rows.empty() && options.conditioning.copies() == 1));
}

}  // namespace

SamplingProgram sampling_program(const GenerationOptions& options, const SamplerTable& table) {
  check(options);
  const UnetConfig& network = options.network;
  const SamplerStepParams params = step_shape(options, table);
  SamplingProgram made;
  Program& program = made.program;
  SamplingBuffers& buffers = made.buffers;
  const int evaluations = params.copies * params.n;

  buffers.table = program.add_buffer("table", {params.steps, kSamplerColumns}, Role::kInput, DType::kMaster);
  buffers.index = program.add_buffer("index", {1}, Role::kState, DType::kIndex);
  buffers.first_image = program.add_buffer("first_image", {1}, Role::kState, DType::kIndex);
  buffers.x = program.add_buffer("x", {params.n, params.h, params.w, params.c}, Role::kState, DType::kMaster);
  buffers.network_input =
      program.add_buffer("network_input", {evaluations, params.h, params.w, params.c}, Role::kState);
  const BufferId t = program.add_buffer("t", {evaluations}, Role::kState, DType::kMaster);
  buffers.labels = add_labels(program, network, evaluations);
  program.add("sampler_start", Phase::kStart,
              SamplerStart{.params = params,
                           .table = buffers.table,
                           .first_image = buffers.first_image,
                           .x = buffers.x,
                           .network_input = buffers.network_input,
                           .t = t});
  const BufferId outputs = build_unet(
      program, network, {.batch = evaluations, .x = buffers.network_input, .t = t, .labels = buffers.labels});
  const BufferId output = add_guidance(program, options, outputs);
  const BufferId threshold = add_threshold(program, options.sampler,
                                           {.params = {.step = params},
                                            .output = output,
                                            .table = buffers.table,
                                            .index = buffers.index,
                                            .x = buffers.x,
                                            .threshold = kNoBuffer});
  const BufferId history =
      table.history_size > 0
          ? program.add_buffer("history", {table.history_size, params.n, params.h, params.w, params.c},
                               Role::kState, DType::kMaster)
          : kNoBuffer;
  program.add("sampler_step", Phase::kUpdate,
              SamplerStep{.params = params,
                          .output = output,
                          .table = buffers.table,
                          .index = buffers.index,
                          .first_image = buffers.first_image,
                          .x = buffers.x,
                          .history = history,
                          .threshold = threshold,
                          .network_input = buffers.network_input,
                          .t = t});
  program.add("index", Phase::kUpdate, AdvanceCounter{buffers.index});
  return made;
}

SamplingProgram sampling_program(const GenerationOptions& options) {
  return sampling_program(options, sampler_table(NoiseSchedule(options.schedule), options.sampler));
}

}  // namespace ddpm
