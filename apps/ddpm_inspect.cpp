// ddpm_inspect: what a network consists of, costs and takes in memory, as tables, JSON and pictures.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/app.h"
#include "apps/command_line.h"
#include "data/dataset.h"
#include "data/png.h"
#include "model/sampling/noising_pictures.h"
#include "model/sampling/sampling_program.h"
#include "model/training/train_config.h"
#include "model/training/training_program.h"
#include "runtime/report/graph_drawing.h"
#include "runtime/report/memory_drawing.h"
#include "runtime/report/program_report.h"
#include "support/atomic_file.h"
#include "support/enum_names.h"

namespace ddpm {
namespace {

enum class ProgramKind : uint8_t { kForward, kTraining, kSampling };
constexpr EnumName<ProgramKind> kProgramKinds[] = {{ProgramKind::kForward, "forward"},
                                                   {ProgramKind::kTraining, "training"},
                                                   {ProgramKind::kSampling, "sampling"}};

enum class Arithmetic : uint8_t { kFp32, kBf16 };
constexpr EnumName<Arithmetic> kArithmetics[] = {{Arithmetic::kFp32, "fp32"}, {Arithmetic::kBf16, "bf16"}};

struct CommandLine {
  std::string preset = "ddim-celeba-64";
  std::string batch;  // empty: the recipe's
  std::filesystem::path config;
  std::string program = "training";
  std::string precision = "fp32";
  bool operations = false;
  bool tensors = false;
  std::filesystem::path memory_svg, graph_svg, json;
  std::filesystem::path noising, data;
  int noising_images = 4;
};

std::string preset_names() {
  std::string names;
  for (const Preset& preset : presets()) names += (names.empty() ? "" : ", ") + std::string(preset.name);
  return names;
}

void add_options(CLI::App& app, CommandLine& c) {
  app.add_option("--preset", c.preset, preset_names())->capture_default_str()->group("Network");
  app.add_option("--config", c.config, "Configuration of ddpm_train, TOML; flags win over it")
      ->group("Network");

  app.add_option("--program", c.program, "forward, training or sampling")
      ->capture_default_str()
      ->group("Program");
  app.add_option("--batch", c.batch, "Images at a time (default: the preset's recipe)")->group("Program");
  app.add_option("--precision", c.precision, "fp32, or bf16 for activations: 2 bytes, weights and states 4")
      ->capture_default_str()
      ->group("Program");

  app.add_flag("--operations", c.operations, "List every operation: shapes, parameters, cost")
      ->group("Output");
  app.add_flag("--tensors", c.tensors, "List every tensor of a checkpoint")->group("Output");
  app.add_option("--memory-svg", c.memory_svg, "Draw the memory plan")->type_name("FILE")->group("Output");
  app.add_option("--graph-svg", c.graph_svg, "Draw the network")->type_name("FILE")->group("Output");
  app.add_option("--json", c.json, "Write all figures")->type_name("FILE")->group("Output");

  auto* data =
      app.add_option("--data", c.data, "NAME.npy, for --noising")->type_name("FILE")->group("Output");
  app.add_option("--noising", c.noising, "Draw images of --data on their way into noise, PNG")
      ->type_name("FILE")
      ->needs(data)
      ->group("Output");
  app.add_option("--noising-images", c.noising_images, "Rows of that picture")
      ->check(CLI::Range(1, 64))
      ->capture_default_str()
      ->group("Output");
}

TrainConfig configure(const CLI::App& app, const CommandLine& command) {
  std::vector<Setting> settings;
  if (command.config.empty())
    settings.push_back({"preset", command.preset});
  else
    settings = read_settings(command.config);
  if (app.count("--preset") > 0) settings.push_back({"preset", command.preset});
  if (app.count("--batch") > 0) settings.push_back({"batch", command.batch});
  TrainConfig config = make_train_config(settings);
  if (config.condition.kind != ConditionKind::kNone && config.condition.label_names.empty())
    throw_input(
        "{} does not name the labels, on which the size of a conditional network depends: give the "
        "config.toml of a run, or set label_names",
        command.config.string());
  return config;
}

Program build_program(ProgramKind kind, const TrainConfig& config) {
  switch (kind) {
    case ProgramKind::kForward:
      return unet_program(config.network, config.batch);
    case ProgramKind::kTraining:
      return training_program(training_options(config, 1)).program;  // of one image: docs/inspect.md
    case ProgramKind::kSampling:
      return sampling_program(
                 {.network = config.network, .batch = config.batch, .steps = config.sampler.steps})
          .program;
  }
  throw_logic("a known kind of program", __FILE__, __LINE__);
}

void write_picture(const std::filesystem::path& path, const std::string& svg) {
  write_file_atomically(path, svg);
  fmt::print(stderr, "{}\n", path.string());
}

// The first images of the data, as the configuration's noise schedule destroys them.
void draw_noising(const CommandLine& command, const TrainConfig& config) {
  const Dataset dataset = Dataset::open(command.data);
  std::vector<ImageView> images;
  for (int64_t i = 0; i < std::min<int64_t>(command.noising_images, dataset.count()); ++i)
    images.push_back(dataset.image(i));
  write_png(command.noising,
            forward_process_strip(images, NoiseSchedule(config.schedule), {.seed = config.seed}));
  fmt::print(stderr, "{}\n", command.noising.string());
}

int run(int argc, char** argv) {
  CLI::App app("Shows what a network consists of, costs and takes in memory", "ddpm_inspect");
  CommandLine command;
  add_options(app, command);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;

  const ProgramKind kind = parse_enum(kProgramKinds, "program", command.program);
  const Arithmetic arithmetic = parse_enum(kArithmetics, "precision", command.precision);
  const TrainConfig config = configure(app, command);
  const Program program = build_program(kind, config);
  const ElementSizes sizes{.compute = arithmetic == Arithmetic::kBf16 ? 2 : 4, .master = 4};
  const MemoryPlan plan = plan_memory(program, sizes);
  const std::string title = fmt::format("{}, {}", config.preset, command.program);
  const ProgramReport report =
      report_program(program, plan, {.title = title, .batch = config.batch, .sizes = sizes});

  fmt::print("{}", summary_text(report));
  if (command.operations) fmt::print("\n{}", operations_text(report));
  if (command.tensors) fmt::print("\n{}", tensors_text(report));
  const std::string caption = fmt::format("{}, batch {}, {}", title, config.batch, command.precision);
  if (!command.memory_svg.empty()) write_picture(command.memory_svg, memory_plan_svg(program, plan, caption));
  if (!command.graph_svg.empty())
    write_picture(command.graph_svg,
                  graph_svg(program, fmt::format("{}: {:.1f} M parameters", config.preset,
                                                 static_cast<double>(report.parameters) * 1e-6)));
  if (!command.json.empty()) write_picture(command.json, report_json(report));
  if (!command.noising.empty()) draw_noising(command, config);
  return 0;
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("ddpm_inspect", [&] { return ddpm::run(argc, argv); });
}
