#include "model/training/validation.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <span>

#include "device/bfloat16.h"
#include "kernels/random.h"
#include "model/sampling/noise_schedule.h"
#include "model/training/loss_weighting.h"
#include "model/training/training_program.h"
#include "model/weights/parameters.h"
#include "runtime/cpu/cpu_executor.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr std::initializer_list<Phase> kStep = {Phase::kForward, Phase::kBackward, Phase::kUpdate};
constexpr int64_t kImagesOfEachPlace = 4;  // the data set has so many times the batch

TrainingProgram program_of(const TrainConfig& config) {
  return training_program(training_options(config, kImagesOfEachPlace * config.batch));
}

std::vector<float> in_float(const std::vector<double>& values) { return {values.begin(), values.end()}; }

double mean(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

class Validation {
 public:
  Validation(const ValidationOptions& options, const ExecutorFactory& make_device)
      : options_(options), buffers_(program_of(options.config)), model_(error_model(options.precision)) {
    for (size_t i = 0; i < static_cast<size_t>(element_count(buffers_.program.shape(buffers_.dataset))); ++i)
      pixels_.push_back(static_cast<uint8_t>(random_bits({options.config.seed, 1}, 0, i)));
    make_weights();
    if (options.reference == ValidationOptions::Reference::kDouble)
      reference_ = std::make_unique<CpuExecutor<double>>(buffers_.program);
    else
      reference_ = std::make_unique<CpuExecutor<float>>(buffers_.program);
    device_ = make_device(buffers_.program);
    for (Executor* executor : {reference_.get(), device_.get()}) prepare(*executor);
  }

  ValidationReport run() {
    ValidationReport report;
    report.total = options_.trajectory_steps;
    for (const Operation& operation : buffers_.program.operations())
      report.total += static_cast<int>(std::ranges::count(kStep, operation.phase));
    begin();
    report.operations = compare_operations(kStep, *reference_, *device_, model_,
                                           [&, ranked = size_t{0}](const ComparisonProgress& now) mutable {
                                             for (; ranked < now.found.size(); ++ranked)
                                               worst_ = std::max(worst_, rank(now.found[ranked]));
                                             return goes_on(report, now.next->name);
                                           });
    std::stable_sort(report.operations.begin(), report.operations.end(),
                     [](const OutputError& a, const OutputError& b) { return rank(a) > rank(b); });
    if (is_stopped_) return report;
    begin();
    for (int step = 1; step <= options_.trajectory_steps; ++step) {
      if (!goes_on(report, fmt::format("step {}", step))) break;
      compare_step(step, report.steps);
    }
    return report;
  }

 private:
  static double rank(const OutputError& error) {
    return std::isnan(error.error) ? INFINITY : error.part_of_bound();
  }

  // Counts what comes next as done where it is done.
  bool goes_on(ValidationReport& report, const std::string& next) {
    if (options_.watch && !options_.watch({report.done, report.total, next, worst_})) {
      is_stopped_ = true;
      return false;
    }
    ++report.done;
    return true;
  }

  // Weights that bf16 holds exactly, so that both executors compute with the same ones.
  void make_weights() {
    weights_ = initial_parameters(buffers_.program, options_.config.seed);
    for (float& weight : weights_) weight = to_float(to_bfloat16(weight));
  }

  void prepare(Executor& executor) const {
    const NoiseSchedule schedule(options_.config.schedule);
    executor.write(buffers_.signal, in_float(schedule.signal()));
    executor.write(buffers_.noise, in_float(schedule.noise_level()));
    const TrainConfig& config = options_.config;
    if (buffers_.loss_weight != kNoBuffer)
      executor.write(buffers_.loss_weight, in_float(loss_weights(config.loss_weighting, config.min_snr_gamma,
                                                                 schedule, config.prediction)));
    executor.bind_bytes(buffers_.dataset, pixels_);
    write_labels(executor);
  }

  // A conditional network's labels, which training leaves zero: one class in three, or times.
  void write_labels(Executor& executor) const {
    const auto& all = buffers_.program.buffers();
    const auto found =
        std::find_if(all.begin(), all.end(), [](const Buffer& b) { return b.name == "labels"; });
    if (found == all.end()) return;
    std::vector<float> labels(static_cast<size_t>(element_count(found->shape)));
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = i % 3 == 0 ? 1.0f : 0.0f;
    executor.write(static_cast<BufferId>(found - all.begin()), labels);
  }

  // Both at step 0.
  void begin() {
    const std::vector<float> zeros(weights_.size());
    for (Executor* executor : {reference_.get(), device_.get()}) {
      executor->write_parameters(weights_);
      executor->write(buffers_.ema, weights_);
      executor->write(buffers_.m, zeros);
      executor->write(buffers_.v, zeros);
      executor->write_index(buffers_.step, 0);
    }
  }

  // Of a gradient after `step` steps: a value passes through all operations before it, each of which errs at
  // random by the roundings of storage and by its own arithmetic (sums of about a thousand terms), and later
  // steps add what the weights then differ by.
  double gradient_bound(int step) const {
    const auto operations = static_cast<double>(buffers_.program.operations().size());
    return std::sqrt(operations * step) * (model_.storage_roundoff + 8 * 32 * model_.arithmetic_roundoff);
  }
  // Of a mean over thousands of values: what is random in their errors is averaged out.
  double mean_bound(int step) const { return gradient_bound(step) / 8; }

  void compare_step(int step, std::vector<StepError>& errors) {
    reference_->run(kStep);
    device_->run(kStep);
    errors.push_back(
        {fmt::format("loss of step {}", step), error_of_mean(buffers_.image_loss), mean_bound(step)});
    if (step > 1) return;
    errors.push_back({"gradient", gradient_error(), gradient_bound(step)});
    errors.push_back({"gradient norm", error_of_mean(buffers_.gradient_norm), mean_bound(step)});
  }

  double error_of_mean(BufferId buffer) const {
    const double expected = mean(reference_->read(buffer));
    return std::abs(mean(device_->read(buffer)) - expected) / std::abs(expected);
  }

  double gradient_error() const {
    double difference = 0, whole = 0;
    for (const Buffer& buffer : buffers_.program.buffers()) {
      if (buffer.gradient == kNoBuffer) continue;
      const std::vector<float> expected = reference_->read(buffer.gradient),
                               actual = device_->read(buffer.gradient);
      for (size_t i = 0; i < expected.size(); ++i) {
        difference += std::pow(double(actual[i]) - double(expected[i]), 2);
        whole += std::pow(double(expected[i]), 2);
      }
    }
    return std::sqrt(difference / whole);
  }

  const ValidationOptions& options_;
  TrainingProgram buffers_;
  ErrorModel model_;
  std::vector<uint8_t> pixels_;
  std::vector<float> weights_;
  std::unique_ptr<Executor> reference_, device_;
  double worst_ = 0;  // part of its bound that an output takes
  bool is_stopped_ = false;
};

}  // namespace

bool ValidationReport::is_within_bounds() const {
  return std::all_of(operations.begin(), operations.end(),
                     [](const OutputError& error) { return error.is_within_bound(); }) &&
         std::all_of(steps.begin(), steps.end(),
                     [](const StepError& error) { return error.error <= error.bound; });
}

ValidationReport validate_training(const ValidationOptions& options, const ExecutorFactory& device) {
  ValidationOptions complete = options;
  complete.config.network.initialisation = Initialisation::kPyTorch;
  return Validation(complete, device).run();
}

}  // namespace ddpm
