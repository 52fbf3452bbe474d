#include "model/training/validation.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <span>

#include "device/bfloat16.h"
#include "kernels/random.h"
#include "model/training/training_program.h"
#include "model/weights/parameters.h"
#include "runtime/cpu/cpu_executor.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr std::initializer_list<Phase> kStep = {Phase::kForward, Phase::kBackward, Phase::kUpdate};
constexpr int64_t kBatchesOfData = 4;  // size of the data set

TrainingProgram program_of(const TrainConfig& config) {
  return training_program(config, {.count = kBatchesOfData * config.batch});
}

double mean(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

class Validation {
 public:
  Validation(const ValidationOptions& options, const ExecutorFactory& make_device)
      : options_(options), made_(program_of(options.config)), model_(error_model(options.precision)) {
    for (size_t i = 0; i < static_cast<size_t>(element_count(made_.program.shape(buffers_.dataset))); ++i)
      pixels_.push_back(static_cast<uint8_t>(random_bits({options.config.seed, 1}, 0, i)));
    make_weights();
    if (options.reference == ValidationOptions::Reference::kDouble)
      reference_ = std::make_unique<CpuExecutor<double>>(made_.program);
    else
      reference_ = std::make_unique<CpuExecutor<float>>(made_.program);
    device_ = make_device(made_.program);
    for (Executor* executor : {reference_.get(), device_.get()}) prepare(*executor);
  }

  ValidationReport run() {
    ValidationReport report;
    report.total = options_.trajectory_steps;
    for (const Operation& operation : made_.program.operations())
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

  // Whether to compare `next`, which then counts as done.
  bool goes_on(ValidationReport& report, const std::string& next) {
    if (options_.watch && !options_.watch({report.done, report.total, next, worst_})) {
      is_stopped_ = true;
      return false;
    }
    ++report.done;
    return true;
  }

  // Weights that bf16 represents exactly, so that both executors compute with the same ones.
  void make_weights() {
    weights_ = initial_parameters(made_.program, options_.config.seed);
    for (float& weight : weights_) weight = to_float(to_bfloat16(weight));
  }

  void prepare(Executor& executor) const {
    write_inputs(buffers_, options_.config, executor);
    executor.bind_bytes(buffers_.dataset, pixels_);
    if (buffers_.labels == kNoBuffer) return;
    // Training leaves a network's own labels zero; here one class in three, or times.
    std::vector<float> labels(static_cast<size_t>(element_count(made_.program.shape(buffers_.labels))));
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = i % 3 == 0 ? 1.0f : 0.0f;
    executor.write(buffers_.labels, labels);
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

  // Of a gradient after `step` steps: a value passes through all operations before it, each with random
  // errors by rounding in storage and in its own arithmetic (sums of about a thousand terms); later steps add
  // the difference of the weights.
  double gradient_bound(int step) const {
    const auto operations = static_cast<double>(made_.program.operations().size());
    return std::sqrt(operations * step) * (model_.storage_roundoff + 8 * 32 * model_.arithmetic_roundoff);
  }
  // Of a mean over thousands of values: random errors average out.
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
    for (const Buffer& buffer : made_.program.buffers()) {
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
  TrainingProgram made_;
  const TrainingBuffers& buffers_ = made_.buffers;
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
  complete.config.network.initialization = Initialization::kPyTorch;
  return Validation(complete, device).run();
}

}  // namespace ddpm
