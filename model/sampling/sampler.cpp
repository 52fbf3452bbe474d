#include "model/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "support/error.h"

namespace ddpm {
namespace {

uint8_t to_byte(float value, Rounding rounding) {
  const float unit = std::clamp(value / 2 + 0.5f, 0.0f, 1.0f) * 255.0f;
  return static_cast<uint8_t>(rounding == Rounding::kRound ? std::lround(unit) : static_cast<long>(unit));
}

}  // namespace

std::vector<Image> to_images(std::span<const float> values, int height, int width, int channels,
                             Rounding rounding) {
  const size_t elements = static_cast<size_t>(height) * width * channels;
  DDPM_CHECK(values.size() % elements == 0);
  std::vector<Image> images;
  for (size_t first = 0; first < values.size(); first += elements) {
    Image& image = images.emplace_back(width, height, channels);
    std::transform(values.begin() + first, values.begin() + first + elements, image.pixels.begin(),
                   [rounding](float value) { return to_byte(value, rounding); });
  }
  return images;
}

SamplingProgram Sampler::make_program(const GenerationOptions& options) const {
  if (options.sampler.variance_type == VarianceType::kLearnedRange &&
      options.network.out_channels != 2 * options.network.in_channels)
    throw_input("variance type learned_range wants a network of {} output channels, but this one has {}",
                2 * options.network.in_channels, options.network.out_channels);
  const bool takes_rows = options.network.class_embedding == ClassEmbedding::kTable;
  DDPM_CHECK(takes_rows || (options.conditioning.rows.empty() && options.conditioning.guidance_scale == 1));
  SamplingOptions sampling{.network = options.network,
                           .batch = options.batch,
                           .steps = steps(),
                           .history_size = table_.history_size,
                           .start_deviation = table_.start_deviation,
                           .guidance_scale = conditioning_.guidance_scale,
                           .seed = options.seed};
  if (options.sampler.thresholding)
    sampling.thresholding = {.ratio = options.sampler.dynamic_thresholding_ratio,
                             .max_value = options.sampler.sample_max_value};
  return sampling_program(sampling);
}

Sampler::Sampler(const GenerationOptions& options, std::span<const float> parameters,
                 const ExecutorFactory& make_executor)
    : table_(sampler_table(NoiseSchedule(options.schedule), options.sampler)),
      conditioning_(options.conditioning),
      program_(make_program(options)),
      executor_(make_executor(std::move(program_.program))),
      image_elements_(static_cast<size_t>(options.network.image_size) * options.network.image_size *
                      options.network.in_channels) {
  executor_->write_parameters(parameters);
  executor_->write(program_.table, flat_rows<float>(table_));
  executor_->keep_records({});  // no values, but a bound on the steps that are under way
}

void Sampler::write_conditions(int64_t first) {
  const std::vector<ConditionRow>& rows = conditioning_.rows;
  if (rows.empty()) return;
  const Shape& shape = executor_->program().shape(program_.labels);
  const int64_t asked = shape.at(0), batch = conditioning_.guidance_scale == 1 ? asked : asked / 2;
  std::vector<float> labels;
  for (int64_t n = 0; n < asked; ++n) {
    const ConditionRow& row =
        n < batch ? rows[static_cast<size_t>(first + n) % rows.size()] : conditioning_.none;
    DDPM_CHECK(static_cast<int64_t>(row.size()) == shape.at(1));
    labels.insert(labels.end(), row.begin(), row.end());
  }
  executor_->write(program_.labels, labels);
}

// The rest of the batch keeps the noise that was drawn.
void Sampler::start_from(std::span<const float> initial_noise) {
  std::vector<float> x = executor_->read(program_.x);
  const auto deviation = static_cast<float>(table_.start_deviation);
  std::transform(initial_noise.begin(), initial_noise.end(), x.begin(),
                 [deviation](float z) { return deviation * z; });
  executor_->write(program_.x, x);
  std::vector<float> input = executor_->read(program_.network_input);
  for (size_t copy = 0; copy < input.size(); copy += x.size())
    std::copy(x.begin(), x.end(), input.begin() + static_cast<std::ptrdiff_t>(copy));
  executor_->write(program_.network_input, input);
}

std::vector<float> Sampler::generate(int64_t first, int count, const Progress& progress,
                                     std::span<const float> initial_noise) {
  const size_t wanted = static_cast<size_t>(count) * image_elements_;
  DDPM_CHECK(static_cast<int64_t>(wanted) <= element_count(executor_->program().shape(program_.x)));
  const auto read = [&] {
    std::vector<float> x = executor_->read(program_.x);
    x.resize(wanted);
    return x;
  };
  const auto goes_on = [&](int step) {
    executor_->take_records(kStepsAhead);
    return !progress || progress(step, read);
  };

  executor_->write_index(program_.index, 0);
  executor_->write_index(program_.first_image, first);
  write_conditions(first);
  executor_->run(Phase::kStart);
  if (!initial_noise.empty()) {
    DDPM_CHECK(initial_noise.size() == wanted);
    start_from(initial_noise);
  }
  if (!goes_on(0)) return {};
  for (int step = 1; step <= steps(); ++step) {
    executor_->run({Phase::kForward, Phase::kUpdate});
    if (!goes_on(step)) return {};
  }
  return read();
}

}  // namespace ddpm
