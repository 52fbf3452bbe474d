// ddpm_validate: trains on the GPU and on the CPU with the same numbers and compares them, operation by
// operation and step by step. ddpm_validate_emulated is the same program with the emulated GPU.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/app.h"
#include "apps/command_line.h"
#include "apps/config_flags.h"
#include "model/training/validation.h"
#include "runtime/gpu/backend.h"
#include "support/atomic_file.h"
#include "support/enum_names.h"
#include "support/interrupt.h"
#include "support/progress_bar.h"

namespace ddpm {
namespace {

using Reference = ValidationOptions::Reference;
constexpr EnumName<Reference> kReferences[] = {{Reference::kFloat, "float"}, {Reference::kDouble, "double"}};

struct CommandLine {
  std::filesystem::path config, json;
  std::string precision = "fp32", reference = "float";
  int steps = 10, rows = 20;
  double seconds = 0;
  ConfigFlags flags;
};

// The options that change the network, the numbers of a step or how a GPU computes it.
bool is_offered(const ConfigOption& option) {
  if (option.group == "run") return option.key == "preset" || option.key == "batch" || option.key == "seed";
  return option.group == "network" || option.group == "diffusion" || option.group == "optimiser" ||
         is_gpu_option(option);
}

void add_options(CLI::App& app, CommandLine& c) {
  app.add_option("--precision", c.precision, "Precision of the GPU: fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str()
      ->group("Comparison");
  app.add_option("--reference", c.reference,
                 "CPU reference: float, or double in plain loops, which is far more exact and slow")
      ->capture_default_str()
      ->group("Comparison");
  app.add_option("--steps", c.steps, "Training steps to compare the losses of; 0: operations only")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group("Comparison");
  app.add_option("--rows", c.rows, "Outputs to print, largest errors first")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group("Comparison");
  app.add_option("--seconds", c.seconds, "Stop after this time and report what was compared; 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group("Comparison");
  app.add_option("--json", c.json, "Write all results")->type_name("FILE")->group("Comparison");
  app.add_option("--config", c.config, "TOML configuration of ddpm_train; flags override it")->group("run");
  c.flags.add_to(app, is_offered);
}

TrainConfig configure(const CommandLine& command) {
  std::vector<Setting> settings;
  if (!command.config.empty()) settings = read_settings(command.config);
  for (const Setting& flag : command.flags.given()) settings.push_back(flag);
  return make_train_config(settings);
}

void print(const ValidationReport& report, int rows) {
  fmt::print("{:31} {:48} {:13} {:>9} {:>9} {:>8}\n", "operation", "name", "output", "error", "bound",
             "of it");
  for (size_t i = 0; i < std::min(report.operations.size(), static_cast<size_t>(rows)); ++i) {
    const OutputError& error = report.operations[i];
    fmt::print("{:31} {:48} {:13} {:>9.2e} {:>9.2e} {:>7.1f}%\n", error.kind, error.name, error.output,
               error.error, error.bound, 100 * error.part_of_bound());
  }
  for (const StepError& error : report.steps)
    fmt::print("{:94} {:>9.2e} {:>9.2e} {:>7.1f}%\n", error.what, error.error, error.bound,
               100 * error.error / error.bound);
}

nlohmann::ordered_json to_json(const ValidationReport& report) {
  nlohmann::ordered_json json;
  json["complete"] = report.is_complete();
  json["compared"] = report.done;
  json["of"] = report.total;
  json["within_bounds"] = report.is_within_bounds();
  json["operations"] = nlohmann::ordered_json::array();
  json["steps"] = nlohmann::ordered_json::array();
  for (const OutputError& error : report.operations)
    json["operations"].push_back({{"kind", error.kind},
                                  {"name", error.name},
                                  {"output", error.output},
                                  {"error", error.error},
                                  {"bound", error.bound}});
  for (const StepError& error : report.steps)
    json["steps"].push_back({{"what", error.what}, {"error", error.error}, {"bound", error.bound}});
  return json;
}

// The message for a validation that stopped early; else empty.
std::string describe_stop(const ValidationReport& report, double seconds) {
  if (report.is_complete()) return {};
  return fmt::format("{}: {} of {} operations and steps compared\n",
                     interrupted() ? "interrupted" : fmt::format("stopped after {} s", seconds), report.done,
                     report.total);
}

int run(int argc, char** argv, const char* name) {
  CLI::App app("Compares training on the GPU with the CPU", name);
  app.option_defaults()->take_last();
  CommandLine command;
  add_options(app, command);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  ValidationOptions options{.config = configure(command),
                            .precision = parse_precision(command.precision),
                            .reference = parse_enum(kReferences, "reference", command.reference),
                            .trajectory_steps = command.steps};
  check_can_write(command.json);
  if (const std::string why = gpu_problem(); !why.empty()) throw_input("{}: nothing can be validated", why);

  fmt::print("{} at batch {}: {} in {} against the CPU in {}\n", options.config.preset, options.config.batch,
             gpu_name(), command.precision, command.reference);
  install_interrupt_handler();
  const auto begin = std::chrono::steady_clock::now();
  std::optional<ProgressBar> bar;  // starts once the executors exist
  options.watch = [&](const ValidationProgress& now) {
    if (!bar)
      bar.emplace(ProgressOptions{
          .label = "comparing", .unit = "comparisons", .total = now.total, .plain_interval_s = 5});
    bar->update(now.done, fmt::format("worst {:.0f}% of its bound, {}", 100 * now.part_of_bound, now.next));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return !interrupted() && (command.seconds == 0 || seconds < command.seconds);
  };
  const ValidationReport report =
      validate_training(options, gpu_executors(options.precision, options.config.gpu, log_to_stderr));
  if (bar) bar->clear();
  print(report, command.rows);
  if (!command.json.empty()) write_file_atomically(command.json, to_json(report).dump(2) + "\n");
  const auto beyond = std::count_if(report.operations.begin(), report.operations.end(),
                                    [](const OutputError& error) { return !error.is_within_bound(); });
  fmt::print("{}", describe_stop(report, command.seconds));
  fmt::print("{} of {} outputs exceed their bounds; {}\n", beyond, report.operations.size(),
             !report.is_within_bounds() ? "the GPU disagrees with the CPU"
             : report.is_complete()     ? "all results agree"
                                        : "all compared results agree");
  return report.is_within_bounds() && report.done > 0 ? 0 : 1;
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  const std::string name = std::filesystem::path(argv[0]).filename().string();
  return ddpm::run_app(name.c_str(), [&] { return ddpm::run(argc, argv, name.c_str()); });
}
