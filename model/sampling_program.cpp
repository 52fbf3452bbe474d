#include "model/sampling_program.h"

namespace ddpm {

SamplingProgram sampling_program(const SamplingOptions& options) {
  const UnetConfig& network = options.network;
  SamplingProgram made;
  Program& program = made.program;
  const Shape image{options.batch, network.image_size, network.image_size, network.in_channels};

  made.table = program.add_buffer("table", {options.steps, kSamplerColumns}, Role::kInput, Element::kMaster);
  made.index = program.add_buffer("index", {1}, Role::kState, Element::kIndex);
  made.first_image = program.add_buffer("first_image", {1}, Role::kState, Element::kIndex);
  made.x = program.add_buffer("x", image, Role::kState, Element::kMaster);
  const BufferId network_input = program.add_buffer("network_input", image, Role::kState);
  const BufferId t = program.add_buffer("t", {options.batch}, Role::kState, Element::kMaster);
  const BufferId previous_x0 = options.keeps_previous_x0
                                   ? program.add_buffer("previous_x0", image, Role::kState, Element::kMaster)
                                   : kNoBuffer;
  const SamplerStepShape shape{.n = options.batch,
                               .h = network.image_size,
                               .w = network.image_size,
                               .c = network.in_channels,
                               .steps = options.steps,
                               .prediction = options.prediction,
                               .keeps_previous_x0 = options.keeps_previous_x0,
                               .seed = options.seed};
  program.add("sampler_start", Phase::kStart,
              SamplerStart{.shape = shape, .table = made.table, .first_image = made.first_image, .x = made.x,
                           .network_input = network_input, .t = t});
  const BufferId output = build_unet(program, network, {.batch = options.batch, .x = network_input, .t = t});
  program.add("sampler_step", Phase::kUpdate,
              SamplerStep{.shape = shape, .output = output, .table = made.table, .index = made.index,
                          .first_image = made.first_image, .x = made.x, .previous_x0 = previous_x0,
                          .network_input = network_input, .t = t});
  program.add("index", Phase::kUpdate, AdvanceCounter{made.index});
  return made;
}

}  // namespace ddpm
