// ddpm_sample: generates images from a checkpoint, as a grid, single files, an array, and as pictures of the
// process.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "apps/app.h"
#include "apps/image_drawer.h"
#include "apps/image_folder_record.h"
#include "apps/image_stream.h"
#include "apps/sampling_command.h"
#include "apps/sampling_outputs.h"
#include "data/content_hash.h"
#include "model/training/trained_model.h"
#include "runtime/choose_executor.h"
#include "support/interrupt.h"

namespace ddpm {
namespace {

// Everything that makes image i what it is: the weights and the options.
std::string record_of(const SamplingCommand& command, std::span<const float> parameters,
                      ComputePrecision precision) {
  nlohmann::ordered_json record = {{"program", "ddpm_sample"},
                                   {"weights", content_hash(parameters.data(), parameters.size_bytes())}};
  for (const auto& [name, text] : command.image_options) record["options"][name] = text;
  // What was computed in, not what was asked for; fp32 goes without saying.
  if (precision != ComputePrecision::kFp32) record["options"]["precision"] = precision_name(precision);
  return record.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// How fast each batch was, as it was drawn: a line like those of a training's metrics.jsonl.
class BatchMetrics {
 public:
  // An empty path: none are written. InputError where the file cannot be made.
  explicit BatchMetrics(const std::filesystem::path& path) {
    if (path.empty()) return;
    file_.open(path);
    if (!file_) throw_input("--metrics {}: cannot be written", path.string());
  }

  template <typename Draw>
  std::vector<Image> measure(const Draw& draw) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<Image> images = draw();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    drawn_ += images.size();
    if (file_.is_open())
      file_ << nlohmann::ordered_json{{"images", drawn_},
                                      {"images_per_second",
                                       static_cast<double>(images.size()) / seconds.count()}}
                   .dump()
            << std::endl;  // at once: others watch
    return images;
  }

 private:
  std::ofstream file_;
  size_t drawn_ = 0;
};

void report(int64_t wanted, int64_t drawn, int steps, const std::string& device, double seconds) {
  fmt::print(stderr, "{} images, {} steps each, on {} in {} ({:.2f} images/s)", drawn, steps, device,
             format_duration(seconds), static_cast<double>(drawn) / std::max(seconds, 1e-9));
  if (drawn < wanted) fmt::print(stderr, "; {} were there already", wanted - drawn);
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
  BatchMetrics metrics(command.metrics);
  ImageStream stream(
      {.first = command.first,
       .count = command.count,
       .batch = drawer.batch(),
       .folder = command.png_directory,
       .existing = drawer.must_draw() ? ExistingImages::kAreDrawnAgain : ExistingImages::kAreKept},
      [&](int64_t first, int count) { return metrics.measure([&] { return drawer.draw(first, count); }); });
  const double seconds = write_outputs(command, network, record, stream, drawer);
  report(command.count, stream.drawn(), drawer.steps(), executors.description, seconds);
  return 0;
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("ddpm_sample", [&] { return ddpm::run(argc, argv); });
}
