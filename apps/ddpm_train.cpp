// ddpm_train: trains a U-Net on a data set, with checkpoints, metrics, sample grids and exact resume.
#include <chrono>
#include <deque>
#include <filesystem>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "apps/app.h"
#include "apps/command_line.h"
#include "apps/config_flags.h"
#include "apps/operation_profile.h"
#include "data/dataset.h"
#include "model/run_folder.h"
#include "model/trained_model.h"
#include "model/trainer.h"
#include "runtime/executors.h"
#include "support/interrupt.h"
#include "support/progress_bar.h"

namespace ddpm {
namespace {

struct CommandLine {
  std::filesystem::path config, init_from;
  bool resume = false;
  bool print_config = false;
  bool profile = false;
  ConfigFlags flags;
};

void add_options(CLI::App& app, CommandLine& command) {
  app.add_option("--config", command.config, "TOML file; flags win over it")->group("run");
  auto* resume =
      app.add_flag("--resume", command.resume, "Go on from the newest checkpoint of --out, bit for bit")
          ->group("run");
  app.add_option("--init-from", command.init_from,
                 "Start from the weights of a run or of a diffusers folder, and take over its network")
      ->excludes(resume)
      ->group("run");
  app.add_flag("--print-config", command.print_config, "Print the whole configuration as TOML and end")
      ->group("run");
  app.add_flag("--profile", command.profile, "Print the time of each kind of operation at the end")
      ->group("run");
  command.flags.add_to(app, [](const ConfigOption&) { return true; });
}

// What the user gave now: the file's settings, then the flags'.
std::vector<Setting> given_settings(const CommandLine& command) {
  std::vector<Setting> settings;
  if (!command.config.empty()) settings = read_settings(command.config);
  for (const Setting& flag : command.flags.given()) settings.push_back(flag);
  return settings;
}

// What a run takes over from the model whose weights it starts from: the network, the diffusion process and
// the condition.
std::vector<Setting> inherited_settings(const TrainConfig& source) {
  std::vector<Setting> settings{{"preset", source.preset}};
  for (const ConfigOption& option : train_options())
    if (option.group == "network" || option.group == "diffusion" || option.group == "condition")
      settings.push_back({option.key, option.get(source)});
  return settings;
}

// The newest checkpoint of the run that is to be resumed; empty where the run has none yet.
std::filesystem::path checkpoint_to_resume(const std::vector<Setting>& given) {
  std::filesystem::path out = TrainConfig().out;
  for (const Setting& setting : given)
    if (setting.key == "out") out = setting.text;
  if (std::filesystem::exists(out / "checkpoints" / "latest")) return find_checkpoint(out);
  fmt::print(stderr, "ddpm_train: {} holds no checkpoint yet: the run begins at step 0\n", out.string());
  return {};
}

// What training starts from; neither: the seed.
struct Start {
  std::filesystem::path checkpoint;       // to resume
  std::optional<TrainedModel> init_from;  // whose weights are taken
};

Start find_start(const CommandLine& command, const std::vector<Setting>& given) {
  Start start;
  if (command.resume) start.checkpoint = checkpoint_to_resume(given);
  if (!command.init_from.empty()) start.init_from = open_trained_model(command.init_from);
  return start;
}

// The configuration of what is resumed or taken over, and over it what the user gave now.
TrainConfig configure(const Start& start, const std::vector<Setting>& given) {
  std::vector<Setting> settings;
  if (!start.checkpoint.empty()) settings = read_checkpoint_state(start.checkpoint).settings;
  if (start.init_from) settings = inherited_settings(start.init_from->config);
  settings.insert(settings.end(), given.begin(), given.end());
  return make_train_config(settings);
}

// The mean loss over the last hundred steps or a few more: one batch's loss says little, since t is random.
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
  // On a GPU the losses of several steps come at once.
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
    if (!start.checkpoint.empty()) {
      trainer_.restore(start.checkpoint);
      folder_.resume(trainer_.step());
      saved_step_ = trainer_.step();
      return;
    }
    if (start.init_from)
      trainer_.initialise(read_weights(*start.init_from, WeightSource::kEma, trainer_.executor().program()));
    else
      trainer_.initialise();
    folder_.begin(trainer_.config());
  }

  int run(bool profile) {
    describe();
    if (profile) trainer_.measure_operations();
    const int64_t first = trainer_.step();
    ProgressBar bar({.label = "training",
                     .total = config_.steps,
                     .first = first,
                     .items_per_step = static_cast<double>(config_.batch)});
    const auto begin = Clock::now();
    while (trainer_.step() < config_.steps && !interrupted()) {
      step(bar);
      if (trainer_.step() % config_.checkpoint_every == 0) save();
      if (config_.sample_every > 0 && trainer_.step() % config_.sample_every == 0) write_samples(bar);
    }
    catch_up(bar);
    bar.clear();
    if (trainer_.step() != saved_step_) save();
    finish(trainer_.step() - first, std::chrono::duration<double>(Clock::now() - begin).count());
    if (profile) print_operation_profile(trainer_.executor(), executors_.peak);
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
    take(now, bar);
    const int64_t step = trainer_.step();
    bar.update(step, fmt::format("loss {:.4f}", recent_.mean()));
    if (step % config_.log_every == 0 || step == config_.steps) log(step);
  }

  // Where the run was stopped between two lines of metrics: nothing is saved before its losses were seen.
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
          "the loss is no finite number any more at step {} (loss {}, gradient norm {}); {}; try a "
          "smaller learning_rate, more warmup_steps or a smaller clip_norm",
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
    folder_.add_metrics(step, metrics_, static_cast<double>(metrics_steps_ * config_.batch) / seconds);
    logged_ = now;
    metrics_ = {};
    metrics_steps_ = 0;
  }

  void save() {
    trainer_.save(folder_.path());
    saved_step_ = trainer_.step();
  }

  void write_samples(ProgressBar& bar) {
    const auto begin = Clock::now();
    bar.clear();  // the first time, products may have to be measured, which is logged
    const std::vector<Image> images = trainer_.sample([] { return !interrupted(); });
    if (images.empty()) return;
    const std::filesystem::path file = folder_.add_samples(trainer_.step(), images);
    fmt::print(stderr, "step {}: samples in {}\n", trainer_.step(), file.string());
    logged_ += Clock::now() - begin;  // sampling is no part of the training's speed
  }

  void finish(int64_t steps, double seconds) {
    const std::filesystem::path curve = folder_.write_loss_curve();
    if (interrupted()) fmt::print(stderr, "interrupted: ");
    if (steps == 0)
      fmt::print(stderr, "no step was done: the run is at step {} of {}", trainer_.step(), config_.steps);
    else
      fmt::print(stderr, "{} steps in {} ({:.1f} images/s); mean loss of the last {} steps {:.4f}", steps,
                 format_duration(seconds),
                 seconds > 0 ? static_cast<double>(steps * config_.batch) / seconds : 0.0, recent_.steps(),
                 recent_.mean());
    fmt::print(stderr, "; checkpoint of step {} in {}\n", saved_step_, config_.out);
    if (!curve.empty()) fmt::print(stderr, "loss curve: {}\n", curve.string());
    if (interrupted()) fmt::print(stderr, "go on with: ddpm_train --out {} --resume\n", config_.out);
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
  int64_t saved_step_ = -1;
};

int run(int argc, char** argv) {
  CLI::App app("Trains a diffusion model", "ddpm_train");
  app.option_defaults()->take_last();  // scripts append their own flags to others'
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
  if (config.data.empty()) throw_input("--data is missing: give NAME.npy; ddpm_data makes one");
  install_interrupt_handler();
  return TrainingRun(config, start).run(command.profile);
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("ddpm_train", [&] { return ddpm::run(argc, argv); });
}
