// ddpm_train: trains a U-Net on a data set, with checkpoints, metrics, sample grids and exact resume.
#include <algorithm>
#include <chrono>
#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "apps/app.h"
#include "apps/command_line.h"
#include "apps/config_flags.h"
#include "apps/operation_profile.h"
#include "data/dataset.h"
#include "model/training/run_folder.h"
#include "model/training/trained_model.h"
#include "model/training/trainer.h"
#include "runtime/choose_executor.h"
#include "support/atomic_file.h"
#include "support/enum_names.h"
#include "support/interrupt.h"
#include "support/process_age.h"
#include "support/progress_bar.h"

namespace ddpm {
namespace {

constexpr EnumName<MeasuredForm> kMeasuredForms[] = {{MeasuredForm::kGraph, "graph"},
                                                     {MeasuredForm::kEager, "eager"}};

struct ProfileOptions {
  std::optional<MeasuredForm> form;  // none: no profile
  std::filesystem::path json;        // empty: none
};

struct CommandLine {
  std::filesystem::path config, init_from;
  bool resume = false;
  bool print_config = false;
  std::string profile;
  std::filesystem::path profile_json;
  ConfigFlags flags;
};

void add_options(CLI::App& app, CommandLine& command) {
  app.add_option("--config", command.config, "TOML file; flags override it")->group("run");
  auto* resume =
      app.add_flag("--resume", command.resume, "Continue from the newest checkpoint of --out, bit for bit")
          ->group("run");
  app.add_option("--init-from", command.init_from,
                 "Start from the weights and the network of a run or a diffusers folder")
      ->excludes(resume)
      ->group("run");
  app.add_flag("--print-config", command.print_config, "Print the whole configuration as TOML and exit")
      ->group("run");
  app.add_flag(
         "--profile{graph}", command.profile,
         "Print the time of each operation, on a GPU measured inside the step's graph; --profile=eager: "
         "measured one by one, for profilers that name single kernels")
      ->group("run");
  app.add_option("--profile-json", command.profile_json, "Write the profile of every operation")
      ->type_name("FILE")
      ->group("run");
  command.flags.add_to(app, [](const ConfigOption&) { return true; });
}

ProfileOptions profile_options(const CommandLine& command) {
  ProfileOptions options;
  options.json = command.profile_json;
  if (!command.profile.empty()) options.form = parse_enum(kMeasuredForms, "profile", command.profile);
  if (!options.form && !options.json.empty()) options.form = MeasuredForm::kGraph;
  check_can_write(options.json);
  return options;
}

// The user's settings: the file's, then the flags'.
std::vector<Setting> given_settings(const CommandLine& command) {
  std::vector<Setting> settings;
  if (!command.config.empty()) settings = read_settings(command.config);
  for (const Setting& flag : command.flags.given()) settings.push_back(flag);
  return settings;
}

// The settings that a run inherits from the model whose weights it starts from: network, diffusion process
// and condition.
std::vector<Setting> inherited_settings(const TrainConfig& source) {
  std::vector<Setting> settings{{"preset", source.preset}};
  for (const ConfigOption& option : train_options())
    if (option.group == "network" || option.group == "diffusion" || option.group == "condition")
      settings.push_back({option.key, option.get(source)});
  return settings;
}

// The newest checkpoint of the run to resume, if it has one.
std::optional<Checkpoint> checkpoint_to_resume(const std::vector<Setting>& given) {
  std::filesystem::path out = TrainConfig().out;
  for (const Setting& setting : given)
    if (setting.key == "out") out = setting.text;
  if (std::filesystem::exists(out / "checkpoints" / "latest")) return open_checkpoint(out);
  fmt::print(stderr, "ddpm_train: {} holds no checkpoint yet: starting at step 0\n", out.string());
  return std::nullopt;
}

// Where training starts; without either, from initial weights.
struct Start {
  std::optional<Checkpoint> checkpoint;   // to resume
  std::optional<TrainedModel> init_from;  // to take the weights from
};

Start find_start(const CommandLine& command, const std::vector<Setting>& given) {
  Start start;
  if (command.resume) start.checkpoint = checkpoint_to_resume(given);
  if (!command.init_from.empty()) start.init_from = open_trained_model(command.init_from);
  return start;
}

// The configuration of the checkpoint or model to start from, overridden by the user's settings.
TrainConfig configure(const Start& start, const std::vector<Setting>& given) {
  std::vector<Setting> settings;
  if (start.checkpoint) settings = start.checkpoint->state.settings;
  if (start.init_from) settings = inherited_settings(start.init_from->config);
  settings.insert(settings.end(), given.begin(), given.end());
  return make_train_config(settings);
}

// The mean loss over the last hundred steps or a few more: a single batch is noisy, since t is random.
class RecentLoss {
 public:
  void add(const TrainingMetrics& stretch) {
    stretches_.push_back({stretch.loss, stretch.gradient_norm.count});
    while (steps() - stretches_.front().steps >= kSteps) stretches_.pop_front();
  }
  double mean() const {
    RunningMean loss;
    for (const Stretch& stretch : stretches_) loss.join(stretch.loss);
    return loss.mean();
  }
  int64_t steps() const {
    return std::accumulate(stretches_.begin(), stretches_.end(), int64_t{0},
                           [](int64_t sum, const Stretch& stretch) { return sum + stretch.steps; });
  }

 private:
  // On a GPU the losses of several steps arrive at once.
  struct Stretch {
    RunningMean loss;
    int64_t steps = 0;
  };
  static constexpr int64_t kSteps = 100;
  std::deque<Stretch> stretches_;
};

class TrainingRun {
 public:
  TrainingRun(const TrainConfig& config, const Start& start)
      : config_(config),
        dataset_(Dataset::open(config.data)),
        executors_(choose_executor(config.device, config.precision, config.gpu)),
        placement_(
            place_data(config.data_placement, static_cast<int64_t>(dataset_.bytes()), executors_.free_bytes)),
        trainer_(config, dataset_, make_executors(executors_, log_to_stderr), placement_),
        folder_(config.out, config.tensorboard ? EventFiles::kTensorBoard : EventFiles::kNone) {
    if (start.checkpoint) {
      trainer_.restore(*start.checkpoint);
      folder_.resume(trainer_.step());
      saved_step_ = trainer_.step();
      return;
    }
    if (start.init_from)
      trainer_.initialize(read_weights(*start.init_from, WeightSource::kEma, trainer_.executor().program()));
    else
      trainer_.initialize();
    folder_.begin(trainer_.config());
  }

  int run(const ProfileOptions& profile) {
    describe();
    if (profile.form) trainer_.measure_operations(*profile.form);
    first_ = trainer_.step();
    ProgressBar bar({.label = "training",
                     .total = config_.steps,
                     .first = first_,
                     .items_per_step = static_cast<double>(config_.batch)});
    begin_ = first_step_end_ = Clock::now();
    while (trainer_.step() < config_.steps && !interrupted()) {
      step(bar);
      if (trainer_.step() % config_.checkpoint_every == 0) save();
      if (config_.sample_every > 0 && trainer_.step() % config_.sample_every == 0) write_samples(bar);
    }
    catch_up(bar);
    bar.clear();
    if (trainer_.step() != saved_step_) save();
    finish();
    if (profile.form) fmt::print("{}", operation_profile_text(trainer_.executor(), executors_.peak));
    if (!profile.json.empty()) write_profile(profile.json, *profile.form);
    return 0;
  }

 private:
  using Clock = std::chrono::steady_clock;

  void describe() const {
    const Program& program = trainer_.executor().program();
    fmt::print(stderr, "{}: {:.1f} M parameters on {}; {} images of {}x{} ({}{}); run folder {}\n",
               config_.preset, static_cast<double>(program.parameter_count()) / 1e6, executors_.description,
               dataset_.count(), dataset_.height(), dataset_.width(), dataset_.card().source,
               placement_ == DataPlacement::kStreamed ? ", streamed" : "", config_.out);
  }

  void step(ProgressBar& bar) {
    TrainingMetrics now;
    trainer_.train_step(now);
    ++metrics_steps_;
    const int64_t step = trainer_.step();
    if (step == first_ + 1) trainer_.catch_up(now);  // once, to know when the start-up ended
    take(now, bar);
    if (step == first_ + 1) end_startup();
    bar.update(step, fmt::format("loss {:.4f}", recent_.mean()));
    if (step % config_.log_every == 0 || step == config_.steps) log(step);
  }

  // If the run stops between two lines of metrics: all losses are checked before anything is saved.
  void catch_up(ProgressBar& bar) {
    if (metrics_steps_ == 0) return;
    TrainingMetrics now;
    trainer_.catch_up(now);
    take(now, bar);
    log(trainer_.step());
  }

  void take(const TrainingMetrics& now, ProgressBar& bar) {
    if (!now.finite()) {
      bar.clear();
      throw Error(fmt::format(
          "loss became non-finite at step {} (loss {}, gradient norm {}); {}; try a smaller learning_rate, "
          "more warmup_steps or a smaller clip_norm",
          trainer_.step(), now.loss.mean(), now.gradient_norm.mean(), last_good_checkpoint()));
    }
    if (now.loss.count > 0) recent_.add(now);
    metrics_.join(now);
  }

  std::string last_good_checkpoint() const {
    if (saved_step_ < 0) return "there is no checkpoint yet";
    return fmt::format("the checkpoint of step {} is kept", saved_step_);
  }

  void log(int64_t step) {
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - logged_).count();
    watch_memory();
    folder_.add_metrics(step, metrics_,
                        {.images_per_second = static_cast<double>(metrics_steps_ * config_.batch) / seconds,
                         .peak_device_bytes = peak_device_bytes_});
    logged_ = now;
    metrics_ = {};
    metrics_steps_ = 0;
  }

  void end_startup() {
    startup_seconds_ = process_age_seconds();
    first_step_end_ = Clock::now();
    watch_memory();
  }

  // The GPU memory used beyond what was in use when the program chose the device.
  void watch_memory() {
    if (executors_.free_bytes > 0)
      peak_device_bytes_ =
          std::max(peak_device_bytes_, executors_.free_bytes - free_device_memory(executors_));
  }

  void save() {
    const auto begin = Clock::now();
    trainer_.save(folder_.path());
    saved_step_ = trainer_.step();
    paused_ += Clock::now() - begin;
  }

  void write_samples(ProgressBar& bar) {
    const auto begin = Clock::now();
    bar.clear();  // the first call may autotune, which is logged
    const std::vector<Image> images = trainer_.sample([] { return !interrupted(); });
    if (images.empty()) return;
    const std::filesystem::path file = folder_.add_samples(trainer_.step(), images);
    fmt::print(stderr, "step {}: samples in {}\n", trainer_.step(), file.string());
    watch_memory();
    logged_ += Clock::now() - begin;  // sampling does not count as training time
    paused_ += Clock::now() - begin;
  }

  // Without the first step, which loads and compiles, unless it is the only one.
  double images_per_second(Clock::time_point now) const {
    const int64_t steps = trainer_.step() - first_;
    const auto time = steps > 1 ? now - first_step_end_ - paused_ : now - begin_ - paused_;
    const double seconds = std::chrono::duration<double>(time).count();
    return seconds > 0 ? static_cast<double>((steps > 1 ? steps - 1 : steps) * config_.batch) / seconds : 0;
  }

  RunSummary summarize() const {
    const auto now = Clock::now();
    return {.device = std::string(device_name(executors_.device)),
            .precision = std::string(precision_name(executors_.precision)),
            .batch = config_.batch,
            .step = trainer_.step(),
            .steps = trainer_.step() - first_,
            .seconds = std::chrono::duration<double>(now - begin_).count(),
            .startup_seconds = startup_seconds_,
            .interrupted = interrupted(),
            .recent_loss = recent_.mean(),
            .speed = {.images_per_second = images_per_second(now), .peak_device_bytes = peak_device_bytes_}};
  }

  void write_profile(const std::filesystem::path& file, MeasuredForm requested) const {
    const MeasuredForm form = executors_.device == Device::kCpu ? MeasuredForm::kEager : requested;
    nlohmann::ordered_json json{{"preset", config_.preset},
                                {"device", executors_.description},
                                {"batch", config_.batch},
                                {"form", enum_name(kMeasuredForms, form)}};
    json.update(operation_profile_json(trainer_.executor(), executors_.peak));
    write_file_atomically(file, json.dump(1) + "\n");
  }

  void finish() {
    const RunSummary summary = summarize();
    folder_.write_summary(summary);
    const std::filesystem::path curve = folder_.write_loss_curve();
    if (interrupted()) fmt::print(stderr, "interrupted: ");
    if (summary.steps == 0)
      fmt::print(stderr, "no step was done: the run is at step {} of {}", trainer_.step(), config_.steps);
    else
      fmt::print(
          stderr,
          "{} steps in {} ({:.1f} images/s{}); start-up {:.1f} s; mean loss of the last {} steps {:.4f}",
          summary.steps, format_duration(summary.seconds), summary.speed.images_per_second,
          peak_device_bytes_ > 0
              ? fmt::format(", {:.2f} GiB of GPU memory", double(peak_device_bytes_) / 0x1p30)
              : "",
          summary.startup_seconds, recent_.steps(), recent_.mean());
    fmt::print(stderr, "; checkpoint of step {} in {}\n", saved_step_, config_.out);
    if (!curve.empty()) fmt::print(stderr, "loss curve: {}\n", curve.string());
    if (interrupted()) fmt::print(stderr, "continue with: ddpm_train --out {} --resume\n", config_.out);
  }

  TrainConfig config_;
  Dataset dataset_;
  ExecutorChoice executors_;
  DataPlacement placement_;
  Trainer trainer_;
  RunFolder folder_;
  RecentLoss recent_;
  TrainingMetrics metrics_;  // since the last line of metrics.jsonl
  int64_t metrics_steps_ = 0;
  Clock::time_point logged_ = Clock::now();
  int64_t first_ = 0;  // the step at which this start of the program began
  Clock::time_point begin_, first_step_end_;
  Clock::duration paused_{};  // for samples and checkpoints
  double startup_seconds_ = 0;
  int64_t peak_device_bytes_ = 0;
  int64_t saved_step_ = -1;
};

int run(int argc, char** argv) {
  CLI::App app("Trains a diffusion model", "ddpm_train");
  app.option_defaults()->take_last();  // so that scripts can append flags
  CommandLine command;
  add_options(app, command);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  const std::vector<Setting> given = given_settings(command);
  const Start start = find_start(command, given);
  const TrainConfig config = configure(start, given);
  if (command.print_config) {
    fmt::print("{}", to_toml(config));
    return 0;
  }
  if (config.data.empty()) throw_input("--data is missing: give NAME.npy, as made by ddpm_data");
  const ProfileOptions profile = profile_options(command);
  install_interrupt_handler();
  return TrainingRun(config, start).run(profile);
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("ddpm_train", [&] { return ddpm::run(argc, argv); });
}
