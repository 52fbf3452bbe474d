#include "model/training/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>
#include <utility>

#include "model/weights/parameters.h"
#include "support/error.h"

namespace ddpm {
namespace {

void check_fit(const TrainConfig& config, const Dataset& dataset) {
  const UnetConfig& network = config.network;
  if (dataset.height() != network.image_size || dataset.width() != network.image_size ||
      dataset.channels() != network.in_channels)
    throw_input(
        "{} holds images of {}x{} with {} channels, but the network takes {}x{} with {}: prepare the data at "
        "that size, or set image_size and in_channels",
        config.data, dataset.height(), dataset.width(), dataset.channels(), network.image_size,
        network.image_size, network.in_channels);
  if (dataset.count() < config.batch)
    throw_input("{} holds {} images, fewer than one batch of {}: use a smaller batch or more images",
                config.data, dataset.count(), config.batch);
}

TrainingProgram make_program(const TrainConfig& config, const Dataset& dataset, DataPlacement placement) {
  check_fit(config, dataset);
  const bool is_streamed = placement == DataPlacement::kStreamed;
  return training_program(
      config,
      {.count = dataset.count(), .rows = is_streamed ? DatasetRows::kBatchImages : DatasetRows::kEveryImage});
}

// The conditions of the sample grids.
Conditioning grid_conditioning(const TrainConfig& config, const Labels& labels) {
  const ConditionOptions& condition = config.condition;
  if (condition.kind == ConditionKind::kNone) return {};
  Conditioning conditioning{.guidance_scale = config.sample_guidance, .none = no_condition(condition)};
  std::istringstream stream(config.sample_condition);
  for (std::string text; std::getline(stream, text, ';');)
    conditioning.rows.push_back(parse_condition(condition, text));
  if (!conditioning.rows.empty()) return conditioning;
  if (condition.kind == ConditionKind::kClasses) conditioning.rows = every_class(condition);
  const int64_t images = std::min<int64_t>(config.sample_count, labels.count());
  for (int64_t i = 0; i < images && condition.kind == ConditionKind::kAttributes; ++i)
    conditioning.rows.push_back(condition_of_image(condition, labels, i));
  return conditioning;
}

}  // namespace

bool TrainingMetrics::finite() const { return std::isfinite(loss.sum) && std::isfinite(gradient_norm.sum); }

void TrainingMetrics::join(const TrainingMetrics& later) {
  loss.join(later.loss);
  for (size_t i = 0; i < loss_by_quarter.size(); ++i) loss_by_quarter[i].join(later.loss_by_quarter[i]);
  gradient_norm.join(later.gradient_norm);
  if (later.loss.count > 0) learning_rate = later.learning_rate;
}

Trainer::Trainer(const TrainConfig& config, const Dataset& dataset, ExecutorFactory make_executor,
                 DataPlacement placement)
    : Trainer(with_labels(config, dataset.labels()), dataset, std::move(make_executor), placement,
              make_program(with_labels(config, dataset.labels()), dataset, placement)) {}

Trainer::Trainer(const TrainConfig& config, const Dataset& dataset, ExecutorFactory make_executor,
                 DataPlacement placement, TrainingProgram made)
    : config_(config),
      dataset_(dataset),
      make_executor_(std::move(make_executor)),
      placement_(placement),
      grid_conditioning_(grid_conditioning(config_, dataset.labels())),
      buffers_(made.buffers),
      executor_(make_executor_(std::move(made.program))) {
  DDPM_CHECK(placement != DataPlacement::kAuto);
  write_inputs(buffers_, config_, *executor_);
  if (config_.condition.kind != ConditionKind::kNone)
    executor_->write(buffers_.labels, label_table(config_.condition, dataset.labels()));
  if (placement == DataPlacement::kResident)
    executor_->bind_bytes(buffers_.dataset, {dataset.pixels(), dataset.bytes()});
  executor_->keep_records({buffers_.image_loss, buffers_.t, buffers_.gradient_norm, buffers_.learning_rate});
}

void Trainer::initialize() { initialize(initial_parameters(executor_->program(), config_.seed)); }

void Trainer::initialize(std::span<const float> weights) {
  const std::vector<float> zeros(weights.size(), 0.0f);
  executor_->write_parameters(weights);
  executor_->write(buffers_.ema, weights);
  executor_->write(buffers_.m, zeros);
  executor_->write(buffers_.v, zeros);
  executor_->write_index(buffers_.step, 0);
  start_at(0);
}

void Trainer::restore(const Checkpoint& checkpoint) {
  const CheckpointState& state = checkpoint.state;
  const bool saw_data = !state.dataset_hash.empty();  // an imported network's first checkpoint saw none
  if (saw_data && (state.dataset_hash != dataset_.hash() || state.dataset_count != dataset_.count()))
    throw_input(
        "{} was trained on other data ({} images, hash {}) than {} ({} images, hash {}): give the same file, "
        "or start a new run",
        checkpoint.path.string(), state.dataset_count, state.dataset_hash, config_.data, dataset_.count(),
        dataset_.hash());
  const std::string labels = labels_hash();
  if (!state.labels_hash.empty() && !labels.empty() && state.labels_hash != labels)
    throw_input(
        "{} was trained with other labels (hash {}) than those of {} (hash {}): give the same labels, or "
        "start a new run",
        checkpoint.path.string(), state.labels_hash, config_.data, labels);
  restore_checkpoint(checkpoint, buffers_, *executor_);
  start_at(state.step);
}

void Trainer::start_at(int64_t step) {
  step_ = step;
  if (placement_ == DataPlacement::kStreamed) stream_images(step);
}

// Streams the images that `diffuse` would gather from the whole data set.
void Trainer::stream_images(int64_t first_step) {
  executor_->stream_bytes(
      buffers_.dataset, first_step,
      [&data = dataset_, seed = config_.seed, n = config_.batch](int64_t step, std::span<uint8_t> bytes) {
        for (int j = 0; j < n; ++j)
          std::memcpy(bytes.data() + static_cast<size_t>(j) * data.image_bytes(),
                      data.image(image_of_batch(seed, n, data.count(), step, j)).pixels, data.image_bytes());
      });
}

void Trainer::save(const std::filesystem::path& run) const {
  save_checkpoint(run,
                  {.step = step(),
                   .dataset_hash = dataset_.hash(),
                   .dataset_count = dataset_.count(),
                   .labels_hash = labels_hash(),
                   .settings = to_settings(config_)},
                  buffers_, *executor_, config_.keep_checkpoints);
}

std::string Trainer::labels_hash() const {
  return config_.condition.kind == ConditionKind::kNone ? std::string() : dataset_.labels().hash();
}

bool Trainer::is_reported(int64_t step) const {
  const auto is_multiple = [step](int64_t every) { return every > 0 && step % every == 0; };
  return step == config_.steps || is_multiple(config_.log_every) || is_multiple(config_.checkpoint_every) ||
         is_multiple(config_.sample_every);
}

void Trainer::train_step(TrainingMetrics& metrics) {
  executor_->run({Phase::kForward, Phase::kBackward, Phase::kUpdate});
  ++step_;
  join_records(is_reported(step_) ? 0 : kStepsAhead, metrics);
}

void Trainer::catch_up(TrainingMetrics& metrics) { join_records(0, metrics); }

// A record is image_loss (N), t (N), gradient_norm, learning_rate.
void Trainer::join_records(size_t pending, TrainingMetrics& metrics) {
  const auto batch = static_cast<size_t>(config_.batch);
  for (const std::vector<float>& record : executor_->take_records(pending)) {
    for (size_t i = 0; i < batch; ++i) {
      const float loss = record[i], t = record[batch + i];
      metrics.loss.add(loss);
      const auto quarter = static_cast<size_t>(4 * t / static_cast<float>(config_.schedule.timesteps));
      metrics.loss_by_quarter[std::min<size_t>(quarter, 3)].add(loss);
    }
    metrics.gradient_norm.add(record[2 * batch]);
    metrics.learning_rate = record[2 * batch + 1];
  }
}

std::vector<Image> Trainer::sample(const std::function<bool()>& goes_on) {
  std::vector<float> weights(static_cast<size_t>(executor_->program().parameter_elements()));
  executor_->read(buffers_.ema, weights);
  if (sampler_ == nullptr)
    sampler_ =
        std::make_unique<Sampler>(GenerationOptions{.network = config_.network,
                                                    .schedule = config_.schedule,
                                                    .sampler = config_.sampler,
                                                    .conditioning = grid_conditioning_,
                                                    .batch = std::min(config_.batch, config_.sample_count),
                                                    .seed = config_.seed},
                                  weights, make_executor_);
  sampler_->set_parameters(weights);
  std::vector<Image> images;
  const int size = config_.network.image_size, batch = std::min(config_.batch, config_.sample_count);
  for (int first = 0; first < config_.sample_count; first += batch) {
    const int count = std::min(batch, config_.sample_count - first);
    const std::vector<float> values =
        sampler_->generate(first, count, [&](int, const auto&) { return !goes_on || goes_on(); });
    if (values.empty()) return {};
    for (Image& image : to_images(values, size, size, config_.network.in_channels))
      images.push_back(std::move(image));
  }
  return images;
}

}  // namespace ddpm
