// ddpm_forward: runs a network once on stored arrays, to compare its answers with those of other programs.
#include <fmt/ranges.h>

#include <filesystem>
#include <string>
#include <vector>

#include "apps/app.h"
#include "apps/command_line.h"
#include "apps/config_flags.h"
#include "data/npy.h"
#include "data/tensor_order.h"
#include "model/trained_model.h"
#include "model/unet.h"
#include "runtime/executors.h"

namespace ddpm {
namespace {

struct CommandLine {
  std::filesystem::path checkpoint, input, timesteps, labels, output;
  std::string weights = "ema", device = "auto", precision = "auto";
  ConfigFlags gpu;
};

void add_options(CLI::App& app, CommandLine& c) {
  app.add_option("--checkpoint", c.checkpoint, "Folder of a run, of one checkpoint, or of diffusers")
      ->required()
      ->group("Model");
  app.add_option("--weights", c.weights, "ema (averaged) or raw")
      ->check(CLI::IsMember({"ema", "raw"}))
      ->capture_default_str()
      ->group("Model");
  app.add_option("--device", c.device, "auto, cpu or cuda")->capture_default_str()->group("Model");
  app.add_option("--precision", c.precision, "auto (bf16 on a GPU), fp32 or bf16")
      ->capture_default_str()
      ->group("Model");
  app.add_option("--input", c.input, "NAME.npy, float32 (N, C, H, W)")->required()->group("Arrays");
  app.add_option("--timesteps", c.timesteps, "NAME.npy, int64 (N,)")->required()->group("Arrays");
  app.add_option("--labels", c.labels,
                 "NAME.npy, float32 (N, classes): a conditional network's one-hot or multi-hot rows")
      ->group("Arrays");
  app.add_option("--output", c.output, "NAME.npy to write, float32 (N, C, H, W)")
      ->required()
      ->group("Arrays");
  c.gpu.add_to(app, is_gpu_option);
}

void check_shape(const std::filesystem::path& path, const std::vector<int64_t>& shape, const Shape& wanted) {
  if (shape != wanted)
    throw_input("{} has shape ({}), but ({}) is wanted", path.string(), fmt::join(shape, ", "),
                fmt::join(wanted, ", "));
}

int run(int argc, char** argv) {
  CLI::App app("Runs a network once on stored arrays", "ddpm_forward");
  CommandLine command;
  add_options(app, command);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  const GpuOptions gpu = make_train_config(command.gpu.given()).gpu;

  const TrainedModel model = open_trained_model(command.checkpoint);
  const UnetConfig& network = model.config.network;
  const auto input = read_npy<float>(command.input);
  const int64_t batch = input.shape.empty() ? 0 : input.shape[0], size = network.image_size;
  if (batch < 1) throw_input("{} holds no image", command.input.string());
  check_shape(command.input, input.shape, {batch, network.in_channels, size, size});
  const auto timesteps = read_npy<int64_t>(command.timesteps);
  check_shape(command.timesteps, timesteps.shape, {batch});

  const ExecutorChoice choice =
      choose_executor(parse_device(command.device), parse_precision(command.precision), gpu);
  const auto executor = make_executors(choice, log_to_stderr)(unet_program(network, static_cast<int>(batch)));
  const Program& program = executor->program();
  const WeightSource source = command.weights == "raw" ? WeightSource::kRaw : WeightSource::kEma;
  executor->write_parameters(read_weights(model, source, program));
  executor->write(program.find("x"), channels_last(input.values, input.shape));
  executor->write(program.find("t"), std::vector<float>(timesteps.values.begin(), timesteps.values.end()));
  if (!command.labels.empty()) {
    if (network.class_embedding == ClassEmbedding::kNone)
      throw_input("--labels {}: this network takes none", command.labels.string());
    const auto labels = read_npy<float>(command.labels);
    check_shape(command.labels, labels.shape, program.shape(program.find("labels")));
    executor->write(program.find("labels"), labels.values);
  }
  executor->run(Phase::kForward);

  const std::vector<int64_t> shape{batch, network.out_channels, size, size};
  const std::vector<float> output = channels_first(executor->read(program.find("conv_out")), shape);
  write_npy<float>(command.output, output, shape);
  fmt::print("{}\n", command.output.string());
  return 0;
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("ddpm_forward", [&] { return ddpm::run(argc, argv); });
}
