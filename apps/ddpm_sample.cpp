// ddpm_sample: generates images from a checkpoint, as a grid, single files or an array, and shows how they
// emerge from noise.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "apps/app.h"
#include "apps/image_drawer.h"
#include "apps/image_folder_record.h"
#include "apps/sampling_command.h"
#include "apps/sampling_outputs.h"
#include "data/content_hash.h"
#include "model/training/trained_model.h"
#include "runtime/choose_executor.h"
#include "support/interrupt.h"

namespace ddpm {
namespace {

// What image i is a function of: the weights and the options.
std::string record_of(const SamplingCommand& command, std::span<const float> parameters,
                      ComputePrecision precision) {
  nlohmann::ordered_json record = {{"program", "ddpm_sample"},
                                   {"weights", content_hash(parameters.data(), parameters.size_bytes())}};
  for (const auto& [name, text] : command.image_options) record["options"][name] = text;
  // The precision used, which may be chosen by the device; fp32 is the default.
  if (precision != ComputePrecision::kFp32) record["options"]["precision"] = precision_name(precision);
  return record.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void report(int64_t count, int64_t drawn, int steps, const std::string& device, double seconds) {
  fmt::print(stderr, "{} images, {} steps each, on {} in {} ({:.2f} images/s)", drawn, steps, device,
             format_duration(seconds), static_cast<double>(drawn) / std::max(seconds, 1e-9));
  if (drawn < count) fmt::print(stderr, "; {} existed already", count - drawn);
  fmt::print(stderr, "\n");
}

int run(int argc, char** argv) {
  SamplingCommand command;
  if (const auto code = parse_sampling_command(argc, argv, command)) return *code;
  const TrainedModel model = open_trained_model(command.checkpoint);
  const UnetConfig& network = model.config.network;
  const std::vector<float> parameters = read_weights(model, command.weights, unet_program(network, 1));
  const ExecutorChoice executors =
      choose_executor(parse_device(command.device), parse_precision(command.precision), command.gpu);
  const std::string record = record_of(command, parameters, executors.precision);
  ImageDrawer drawer(command, model.config, parameters, make_executors(executors, log_to_stderr));
  install_interrupt_handler();
  if (!command.png_directory.empty()) claim_image_folder(command.png_directory, record);
  const double seconds = write_outputs(command, network, record, drawer);
  report(command.count, drawer.drawn(), drawer.steps(), executors.description, seconds);
  return 0;
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("ddpm_sample", [&] { return ddpm::run(argc, argv); });
}
