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

Sampler::Sampler(const GenerationOptions& options, std::span<const float> parameters,
                 const ExecutorFactory& make_executor)
    : Sampler(options, sampler_table(NoiseSchedule(options.schedule), options.sampler), parameters,
              make_executor) {}

Sampler::Sampler(const GenerationOptions& options, const SamplerTable& table,
                 std::span<const float> parameters, const ExecutorFactory& make_executor)
    : Sampler(options, table, sampling_program(options, table), parameters, make_executor) {}

Sampler::Sampler(const GenerationOptions& options, SamplerTable table, SamplingProgram made,
                 std::span<const float> parameters, const ExecutorFactory& make_executor)
    : table_(std::move(table)),
      conditioning_(options.conditioning),
      buffers_(made.buffers),
      executor_(make_executor(std::move(made.program))),
      image_elements_(static_cast<size_t>(options.network.image_size) * options.network.image_size *
                      options.network.in_channels) {
  executor_->write_parameters(parameters);
  executor_->write(buffers_.table, flat_rows<float>(table_));
  executor_->keep_records({});  // no values, but a bound on the steps that are under way
}

void Sampler::write_conditions(int64_t first) {
  const std::vector<ConditionRow>& rows = conditioning_.rows;
  if (rows.empty()) return;
  const Shape& shape = executor_->program().shape(buffers_.labels);
  const int64_t count = shape.at(0), batch = count / conditioning_.copies();
  std::vector<float> labels;
  for (int64_t n = 0; n < count; ++n) {
    const ConditionRow& row =
        n < batch ? rows[static_cast<size_t>(first + n) % rows.size()] : conditioning_.none;
    DDPM_CHECK(static_cast<int64_t>(row.size()) == shape.at(1));
    labels.insert(labels.end(), row.begin(), row.end());
  }
  executor_->write(buffers_.labels, labels);
}

// The rest of the batch keeps the seed's noise.
void Sampler::start_from(std::span<const float> initial_noise) {
  std::vector<float> x = executor_->read(buffers_.x);
  const auto deviation = static_cast<float>(table_.start_deviation);
  std::transform(initial_noise.begin(), initial_noise.end(), x.begin(),
                 [deviation](float z) { return deviation * z; });
  executor_->write(buffers_.x, x);
  std::vector<float> input = executor_->read(buffers_.network_input);
  for (size_t copy = 0; copy < input.size(); copy += x.size())
    std::copy(x.begin(), x.end(), input.begin() + static_cast<std::ptrdiff_t>(copy));
  executor_->write(buffers_.network_input, input);
}

std::vector<float> Sampler::generate(int64_t first, int count, const Progress& progress,
                                     std::span<const float> initial_noise) {
  const size_t elements = static_cast<size_t>(count) * image_elements_;
  DDPM_CHECK(static_cast<int64_t>(elements) <= element_count(executor_->program().shape(buffers_.x)));
  const auto read = [&] {
    std::vector<float> x = executor_->read(buffers_.x);
    x.resize(elements);
    return x;
  };
  const auto goes_on = [&](int step) {
    executor_->take_records(kStepsAhead);
    return !progress || progress(step, read);
  };

  executor_->write_index(buffers_.index, 0);
  executor_->write_index(buffers_.first_image, first);
  write_conditions(first);
  executor_->run(Phase::kStart);
  if (!initial_noise.empty()) {
    DDPM_CHECK(initial_noise.size() == elements);
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
