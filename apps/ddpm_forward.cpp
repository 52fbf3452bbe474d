// ddpm_forward: runs a network once on stored arrays, and back where a target is given, to compare its
// answers and its gradients with those of other programs.
#include <fmt/ranges.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "apps/app.h"
#include "apps/command_line.h"
#include "apps/config_flags.h"
#include "data/npy.h"
#include "data/tensor_order.h"
#include "model/training/trained_model.h"
#include "model/unet/unet.h"
#include "model/weights/arena_file.h"
#include "runtime/choose_executor.h"
#include "runtime/program/differentiate.h"

namespace ddpm {
namespace {

struct CommandLine {
  std::filesystem::path checkpoint, input, timesteps, labels, output, target, gradients;
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
  app.add_option("--output", c.output, "NAME.npy to write, float32 (N, C, H, W)")->group("Arrays");
  auto* target = app.add_option("--target", c.target,
                                "NAME.npy, float32 (N, C, H, W): prints the mean squared error of the output")
                     ->group("Arrays");
  app.add_option(
         "--gradients", c.gradients,
         "NAME.safetensors to write: that error's gradient by every parameter, float32, named and laid out "
         "as diffusers does")
      ->needs(target)
      ->group("Arrays");
  c.gpu.add_to(app, is_gpu_option);
}

void check_shape(const std::filesystem::path& path, const std::vector<int64_t>& shape, const Shape& wanted) {
  if (shape != wanted)
    throw_input("{} has shape ({}), but ({}) is wanted", path.string(), fmt::join(shape, ", "),
                fmt::join(wanted, ", "));
}

// The network and, where gradients are wanted, its backward pass from a given "conv_out.gradient".
Program make_program(const UnetConfig& network, int batch, bool wants_gradients) {
  Program program = unet_program(network, batch);
  if (!wants_gradients) return program;
  const BufferId output = program.find("conv_out");
  program.keep(output);
  const BufferId given = program.add_buffer("conv_out.gradient", program.shape(output), Role::kState);
  program.add("zero_gradients", Phase::kBackward,
              ZeroGradients{.count = program.parameter_elements(), .gradients = program.gradient_arena()});
  differentiate(program, {.output = output, .output_gradient = given});
  return program;
}

double mean_squared_error(std::span<const float> output, std::span<const float> target) {
  double sum = 0;
  for (size_t i = 0; i < output.size(); ++i) {
    const double difference = double{output[i]} - double{target[i]};
    sum += difference * difference;
  }
  return sum / static_cast<double>(output.size());
}

std::vector<float> gradient_of_error(std::span<const float> output, std::span<const float> target) {
  std::vector<float> gradient(output.size());
  for (size_t i = 0; i < output.size(); ++i)
    gradient[i] =
        static_cast<float>(2 * (double{output[i]} - double{target[i]}) / static_cast<double>(output.size()));
  return gradient;
}

// Laid out like the parameters; zero where a parameter has no gradient.
std::vector<float> read_gradients(const Executor& executor) {
  const Program& program = executor.program();
  std::vector<float> arena(static_cast<size_t>(program.parameter_elements()), 0.0f);
  for (const Buffer& buffer : program.buffers())
    if (buffer.role == Role::kParameter && buffer.gradient != kNoBuffer)
      executor.read(buffer.gradient,
                    std::span(arena).subspan(static_cast<size_t>(buffer.arena_offset),
                                             static_cast<size_t>(element_count(buffer.shape))));
  return arena;
}

int run(int argc, char** argv) {
  CLI::App app("Runs a network once on stored arrays", "ddpm_forward");
  CommandLine command;
  add_options(app, command);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  if (command.output.empty() && command.target.empty())
    throw_input(
        "nothing to do: give --output NAME.npy, or --target NAME.npy and --gradients NAME.safetensors");
  const GpuOptions gpu = make_train_config(command.gpu.given()).gpu;

  const TrainedModel model = open_trained_model(command.checkpoint);
  const UnetConfig& network = model.config.network;
  const auto input = read_npy<float>(command.input);
  const int64_t batch = input.shape.empty() ? 0 : input.shape[0], size = network.image_size;
  if (batch < 1) throw_input("{} holds no image", command.input.string());
  check_shape(command.input, input.shape, {batch, network.in_channels, size, size});
  const auto timesteps = read_npy<int64_t>(command.timesteps);
  check_shape(command.timesteps, timesteps.shape, {batch});
  const std::vector<int64_t> shape{batch, network.out_channels, size, size};
  std::vector<float> target;
  if (!command.target.empty()) {
    auto stored = read_npy<float>(command.target);
    check_shape(command.target, stored.shape, shape);
    target = channels_last(stored.values, shape);
  }

  const ExecutorChoice choice =
      choose_executor(parse_device(command.device), parse_precision(command.precision), gpu);
  const auto executor = make_executors(
      choice, log_to_stderr)(make_program(network, static_cast<int>(batch), !command.gradients.empty()));
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

  const std::vector<float> output = executor->read(program.find("conv_out"));
  if (!command.output.empty()) {
    write_npy<float>(command.output, channels_first(output, shape), shape);
    fmt::print("{}\n", command.output.string());
  }
  if (!target.empty()) fmt::print("mean squared error {:.9g}\n", mean_squared_error(output, target));
  if (!command.gradients.empty()) {
    executor->write(program.find("conv_out.gradient"), gradient_of_error(output, target));
    executor->run(Phase::kBackward);
    ArenaFile file;
    file.add(program, "", read_gradients(*executor));
    file.write(command.gradients);
    fmt::print("{}\n", command.gradients.string());
  }
  return 0;
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("ddpm_forward", [&] { return ddpm::run(argc, argv); });
}
