#include "apps/image_drawer.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "apps/image_folder_record.h"
#include "data/npy.h"
#include "data/tensor_order.h"
#include "support/error.h"
#include "support/interrupt.h"

namespace ddpm {
namespace {

// (count, H, W, C); empty where --initial-noise was not given.
std::vector<float> read_initial_noise(const SamplingCommand& c, const UnetConfig& network) {
  if (c.initial_noise.empty()) return {};
  const auto array = read_npy<float>(c.initial_noise);
  const std::vector<int64_t> wanted{c.count, network.in_channels, network.image_size, network.image_size};
  if (array.shape != wanted)
    throw_input("--initial-noise {} has shape ({}), but --count and the network want ({})",
                c.initial_noise.string(), fmt::join(array.shape, ", "), fmt::join(wanted, ", "));
  return channels_last(array.values, array.shape);
}

SamplingPicturesOptions picture_options(const SamplingCommand& c, const UnetConfig& network,
                                        const Sampler& sampler, int batch) {
  return {.images = c.wants_process() ? std::min(c.process_images, batch) : 0,
          .moments = c.process_moments,
          .steps = sampler.steps(),
          .size = network.image_size,
          .channels = network.in_channels};
}

std::string interruption_message(const SamplingCommand& c) {
  if (c.png_directory.empty()) return "interrupted: nothing was written";
  return fmt::format("interrupted: {} holds {} images; the same command goes on from there",
                     c.png_directory.string(), count_images(c.png_directory));
}

}  // namespace

ImageDrawer::ImageDrawer(const SamplingCommand& command, const TrainConfig& config,
                         std::span<const float> parameters, const ExecutorFactory& make_executor)
    : command_(command),
      network_(config.network),
      batch_(static_cast<int>(std::min<int64_t>(command.batch, command.count))),
      sampler_(generation_options(command, config), parameters, make_executor),
      pictures_(picture_options(command, network_, sampler_, batch_)),
      initial_noise_(read_initial_noise(command, network_)) {}

void ImageDrawer::expect(int64_t images) {
  bar_.emplace(
      ProgressOptions{.label = "sampling", .total = images * steps(), .items_per_step = 1.0 / steps()});
}

std::vector<Image> ImageDrawer::draw(int64_t first, int count) {
  const int size = network_.image_size, channels = network_.in_channels;
  std::span<const float> noise(initial_noise_);
  if (!noise.empty()) {
    const size_t elements = static_cast<size_t>(size) * size * channels;
    noise = noise.subspan((first - command_.first) * elements, count * elements);
  }
  const auto watch = [&](int step, const Sampler::ReadImages& read) {
    if (first == command_.first && pictures_.wants(step)) pictures_.add(read());
    if (bar_) bar_->update(drawn_ * steps() + static_cast<int64_t>(step) * count);
    return !interrupted();
  };
  const std::vector<float> x = sampler_.generate(first, count, watch, noise);
  if (x.empty()) throw Error(interruption_message(command_));
  drawn_ += count;
  if (!command_.float_npy.empty()) values_.insert(values_.end(), x.begin(), x.end());
  return to_images(x, size, size, channels, command_.rounding);
}

double ImageDrawer::finish() {
  const double seconds = bar_ ? bar_->elapsed_s() : 0;
  bar_.reset();
  return seconds;
}

}  // namespace ddpm
