#include "apps/image_drawer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/image_folder_record.h"
#include "data/grid.h"
#include "data/npy.h"
#include "data/png.h"
#include "data/tensor_order.h"
#include "support/error.h"
#include "support/interrupt.h"

namespace ddpm {
namespace {

// (count, H, W, C); empty without --initial-noise.
std::vector<float> read_initial_noise(const SamplingCommand& c, const UnetConfig& network) {
  if (c.initial_noise.empty()) return {};
  const auto array = read_npy<float>(c.initial_noise);
  const std::vector<int64_t> expected{c.count, network.in_channels, network.image_size, network.image_size};
  if (array.shape != expected)
    throw_input("--initial-noise {}: expected shape ({}), got ({})", c.initial_noise.string(),
                fmt::join(expected, ", "), fmt::join(array.shape, ", "));
  return channels_last(array.values, array.shape);
}

std::string interruption_message(const SamplingCommand& c) {
  if (c.png_directory.empty()) return "interrupted: nothing was written";
  return fmt::format("interrupted: {} holds {} images; repeat the command to continue",
                     c.png_directory.string(), count_images(c.png_directory));
}

}  // namespace

bool ProcessFrames::wants(int step) const {
  const int shown = static_cast<int>(frames_.size()), last = std::min(options_.frames - 1, options_.steps);
  return options_.images > 0 && shown <= last && step >= options_.steps * shown / last;
}

void ProcessFrames::add(std::span<const float> x) {
  const size_t elements =
      static_cast<size_t>(options_.images) * options_.size * options_.size * options_.channels;
  frames_.push_back(
      to_images(x.first(std::min(elements, x.size())), options_.size, options_.size, options_.channels));
}

Image ProcessFrames::strip() const {
  std::vector<ImageView> views;
  for (size_t row = 0; row < frames_.front().size(); ++row)
    for (const std::vector<Image>& frame : frames_) views.emplace_back(frame[row]);
  return make_grid(views, {.columns = static_cast<int>(frames_.size())});
}

std::vector<Image> ProcessFrames::animation() const {
  std::vector<Image> grids;
  for (const std::vector<Image>& frame : frames_) grids.push_back(make_grid(frame));
  return grids;
}

ImageDrawer::ImageDrawer(const SamplingCommand& command, const TrainConfig& config,
                         std::span<const float> parameters, const ExecutorFactory& make_executor)
    : command_(command),
      network_(config.network),
      batch_(static_cast<int>(std::min<int64_t>(command.batch, command.count))),
      sampler_(generation_options(command, config), parameters, make_executor),
      process_({.images = command.wants_process() ? std::min(command.process_images, batch_) : 0,
                .frames = command.process_frames,
                .steps = sampler_.steps(),
                .size = network_.image_size,
                .channels = network_.in_channels}),
      initial_noise_(read_initial_noise(command, network_)),
      exists_(static_cast<size_t>(command.count)),
      next_(command.first) {}

void ImageDrawer::begin() {
  // What only the drawing itself shows cannot come from images that exist already.
  const bool must_draw = command_.wants_process() || !command_.float_npy.empty();
  // A file in the folder is whole: it was written beside its final name and renamed.
  for (int64_t i = 0; i < command_.count && !must_draw && !command_.png_directory.empty(); ++i)
    exists_[static_cast<size_t>(i)] = std::filesystem::exists(file_of(command_.first + i));
  if (!command_.metrics.empty()) {
    metrics_.open(command_.metrics);
    if (!metrics_) throw_input("--metrics {}: cannot be written", command_.metrics.string());
  }
  const int64_t missing = std::count(exists_.begin(), exists_.end(), false);
  bar_.emplace(
      ProgressOptions{.label = "sampling", .total = missing * steps(), .items_per_step = 1.0 / steps()});
}

std::filesystem::path ImageDrawer::file_of(int64_t i) const {
  return command_.png_directory / image_file_name(i);
}

bool ImageDrawer::exists(int64_t i) const { return exists_[static_cast<size_t>(i - command_.first)]; }

Image ImageDrawer::next() {
  if (waiting_.empty() && exists(next_)) return read_png(file_of(next_++));
  if (waiting_.empty()) draw_batch();
  Image image = std::move(waiting_.front());
  waiting_.pop_front();
  return image;
}

void ImageDrawer::draw_missing() {
  while (next_ < command_.first + command_.count) {
    if (exists(next_))
      ++next_;
    else
      draw_batch();
    waiting_.clear();
  }
}

// From the missing image next_ on, up to the first that exists.
void ImageDrawer::draw_batch() {
  const int64_t first = next_, end = std::min(first + batch_, command_.first + command_.count);
  while (next_ < end && !exists(next_)) ++next_;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Image> images = sample(first, static_cast<int>(next_ - first));
  log_speed(images.size(), std::chrono::steady_clock::now() - begin);
  for (size_t i = 0; i < images.size() && !command_.png_directory.empty(); ++i)
    write_png(file_of(first + static_cast<int64_t>(i)), images[i]);
  std::move(images.begin(), images.end(), std::back_inserter(waiting_));
}

std::vector<Image> ImageDrawer::sample(int64_t first, int count) {
  const int size = network_.image_size, channels = network_.in_channels;
  std::span<const float> noise(initial_noise_);
  if (!noise.empty()) {
    const size_t elements = static_cast<size_t>(size) * size * channels;
    noise = noise.subspan((first - command_.first) * elements, count * elements);
  }
  const auto progress = [&](int step, const Sampler::ReadImages& read) {
    if (first == command_.first && process_.wants(step)) process_.add(read());
    bar_->update(drawn_ * steps() + static_cast<int64_t>(step) * count);
    return !interrupted();
  };
  const std::vector<float> x = sampler_.generate(first, count, progress, noise);
  if (x.empty()) throw Error(interruption_message(command_));
  drawn_ += count;
  if (!command_.float_npy.empty()) values_.insert(values_.end(), x.begin(), x.end());
  return to_images(x, size, size, channels, command_.rounding);
}

// A line of JSON, as in the metrics.jsonl of a training run.
void ImageDrawer::log_speed(size_t images, std::chrono::duration<double> time) {
  if (!metrics_.is_open()) return;
  metrics_ << nlohmann::ordered_json{{"images", drawn_},
                                     {"images_per_second", static_cast<double>(images) / time.count()}}
                  .dump()
           << std::endl;  // flushed: other programs follow the file
}

double ImageDrawer::finish() {
  const double seconds = bar_ ? bar_->elapsed_s() : 0;
  bar_.reset();
  return seconds;
}

}  // namespace ddpm
