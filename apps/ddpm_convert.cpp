// ddpm_convert: carries trained networks between this project's runs and folders of Hugging Face diffusers.
#include <fmt/ranges.h>

#include <filesystem>
#include <string>
#include <vector>

#include "apps/app.h"
#include "apps/command_line.h"
#include "model/training/run_folder.h"
#include "model/training/trained_model.h"
#include "model/unet/unet.h"

namespace ddpm {
namespace {

struct CommandLine {
  std::filesystem::path to_diffusers, checkpoint;
  std::filesystem::path from_diffusers, out;
  bool raw = false;
  std::string dtype = "fp32";
};

void add_options(CLI::App& app, CommandLine& c) {
  const char* const to = "From a run to diffusers";
  auto* to_diffusers = app.add_option("--to-diffusers", c.to_diffusers,
                                      "Folder to write, which DDPMPipeline.from_pretrained loads")
                           ->group(to);
  auto* checkpoint = app.add_option("--checkpoint", c.checkpoint,
                                    "Folder of a run (its newest checkpoint) or of one checkpoint")
                         ->group(to);
  app.add_flag("--raw", c.raw, "Export the weights themselves instead of their moving average")->group(to);
  app.add_option("--dtype", c.dtype, "DType dtype of the exported weights: fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str()
      ->group(to);
  const char* const from = "From diffusers to a run";
  auto* from_diffusers =
      app.add_option("--from-diffusers", c.from_diffusers, "Folder of a pipeline with safetensors weights")
          ->group(from);
  auto* out = app.add_option("--out", c.out, "Run folder to write, with a checkpoint at step 0")->group(from);
  to_diffusers->needs(checkpoint)->excludes(from_diffusers)->excludes(out);
  from_diffusers->needs(out)->excludes(checkpoint);
}

void print_summary(const TrainConfig& config, const Program& program, const std::filesystem::path& written) {
  const UnetConfig& network = config.network;
  size_t tensors = 0;
  for (const Buffer& buffer : program.buffers()) tensors += buffer.tensors.size();
  fmt::print("network    {}x{}, channels {}, {} residual blocks a level\n", network.image_size,
             network.image_size, fmt::join(network.block_out_channels, "-"), network.layers_per_block);
  fmt::print("weights    {} parameters in {} tensors\n", program.parameter_count(), tensors);
  fmt::print("schedule   {} timesteps, {} betas {} to {}\n", config.schedule.timesteps,
             beta_schedule_name(config.schedule.beta_schedule), config.schedule.beta_start,
             config.schedule.beta_end);
  fmt::print("written    {}\n", written.string());
}

void to_diffusers(const CommandLine& command) {
  const TrainedModel model = open_trained_model(command.checkpoint);
  const Program program = unet_program(model.config.network, 1);
  const std::vector<float> weights =
      read_weights(model, command.raw ? WeightSource::kRaw : WeightSource::kEma, program);
  write_diffusers_pipeline(command.to_diffusers, to_diffusers_pipeline(model.config), program, weights,
                           command.dtype == "bf16" ? StoredType::kBfloat16 : StoredType::kFloat32);
  fmt::print("source     {}, step {}, {} weights\n", model.path.string(), model.step,
             command.raw ? "raw" : "averaged");
  print_summary(model.config, program, command.to_diffusers);
}

void from_diffusers(const CommandLine& command) {
  TrainConfig config = to_train_config(read_diffusers_pipeline(command.from_diffusers));
  config.out = command.out.string();
  const Program program = unet_program(config.network, 1);
  const std::vector<float> weights = read_diffusers_weights(command.from_diffusers, config.network, program);
  RunFolder(command.out).begin(config);
  save_first_checkpoint(command.out, {.settings = to_settings(config)}, program, weights);
  fmt::print("source     {}\n", command.from_diffusers.string());
  print_summary(config, program, command.out);
}

int run(int argc, char** argv) {
  CLI::App app("Carries trained networks to and from Hugging Face diffusers", "ddpm_convert");
  CommandLine command;
  add_options(app, command);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  if (command.to_diffusers.empty() == command.from_diffusers.empty())
    throw_input("give --to-diffusers with --checkpoint, or --from-diffusers with --out");
  command.from_diffusers.empty() ? to_diffusers(command) : from_diffusers(command);
  return 0;
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("ddpm_convert", [&] { return ddpm::run(argc, argv); });
}
