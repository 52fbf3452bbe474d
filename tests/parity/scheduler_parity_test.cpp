// Trajectories of diffusers' schedulers, replayed with our sampler tables (model/sampling/sampler_table.h)
// and the reference kernels, in double and in float.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <type_traits>

#include "kernels/reference/reference.h"
#include "model/sampling/sampler_table.h"
#include "tests/parity/fixtures.h"
#include "tests/parity/scheduler_options.h"

namespace ddpm::parity {
namespace {

const std::filesystem::path kSchedulers = fixtures() / "schedulers";
const std::vector<int64_t> kShape = {2, 3, 2, 3};  // (N, C, H, W) of the fixtures
constexpr int64_t kElements = 2 * 3 * 2 * 3;

// The k-th of several states in one tensor, in our layout.
template <typename T>
std::vector<T> state(const std::vector<double>& states, size_t k) {
  const auto begin = states.begin() + static_cast<int64_t>(k) * kElements;
  const std::vector<double> ours = channels_last(std::vector<double>(begin, begin + kElements), kShape);
  return {ours.begin(), ours.end()};
}

// The inputs shared by all cases.
template <typename T>
struct Inputs {
  std::vector<T> start, offset, variance;
  std::vector<double> noise;

  Inputs() {
    const SafetensorsFile file(kSchedulers / "inputs.safetensors");
    start = state<T>(file.values<double>("start"), 0);
    offset = state<T>(file.values<double>("offset"), 0);
    variance = state<T>(file.values<double>("variance"), 0);
    noise = file.values<double>("noise");
  }
};

// Runs a table with the fixtures' model and noise instead of a network and our random numbers.
template <typename T>
class Replay {
 public:
  Replay(const SamplerTable& table, const SamplerOptions& options)
      : options_(options), flat_(flat_rows<T>(table)), noise_(table.rows.size()) {
    shape_ = {.n = 2,
              .h = 2,
              .w = 3,
              .c = 3,
              .steps = static_cast<int>(table.rows.size()),
              .history_size = table.history_size,
              .output = options.variance_type == VarianceType::kLearnedRange
                            ? SamplerOutput::kMeanAndLogVariance
                            : SamplerOutput::kMean,
              .start_deviation = table.start_deviation};
    // The step's own noise is disabled; the fixtures' noise is added afterwards.
    for (size_t k = 0; k < noise_.size(); ++k) std::swap(rows()[k].noise, noise_[k]);
    memory_.assign(static_cast<size_t>(shape_.history_size * kElements),
                   T(NAN));  // nothing until it is written
    for (const T start : inputs_.start) x_.push_back(T(table.start_deviation) * start);
  }

  const std::vector<T>& x() const { return x_; }

  void step(int64_t k) {
    const std::vector<T> output = model(k);
    const int64_t first_image = 0;
    if (options_.thresholding)
      reference::dynamic_threshold<T>({.step = shape_,
                                       .ratio = options_.dynamic_thresholding_ratio,
                                       .max_value = options_.sample_max_value},
                                      {output.data(), rows(), &k, x_.data(), threshold_});
    reference::sampler_step<T>(shape_, {.output = output.data(),
                                        .table = rows(),
                                        .index = &k,
                                        .first_image = &first_image,
                                        .x = x_.data(),
                                        .history = shape_.history_size > 0 ? memory_.data() : nullptr,
                                        .threshold = options_.thresholding ? threshold_ : nullptr,
                                        .network_input = network_input_,
                                        .t = t_});
    add_noise(k);
  }

 private:
  SamplerRow<T>* rows() { return reinterpret_cast<SamplerRow<T>*>(flat_.data()); }

  // m(x, t) = 0.9 cos(t / 1000) x + offset, and the fixtures' variance if the network predicts one.
  std::vector<T> model(int64_t k) {
    const T gain = T(0.9 * std::cos(double(rows()[k].timestep) / 1000));
    std::vector<T> output;
    for (int64_t pixel = 0; pixel < kElements; pixel += 3) {
      for (int64_t e = pixel; e < pixel + 3; ++e) output.push_back(gain * x_[e] + inputs_.offset[e]);
      if (shape_.output == SamplerOutput::kMeanAndLogVariance)
        output.insert(output.end(), &inputs_.variance[pixel], &inputs_.variance[pixel] + 3);
    }
    return output;
  }

  void add_noise(int64_t k) {
    if (noise_[k] == 0) return;
    const std::vector<T> noise = state<T>(inputs_.noise, k);
    for (int64_t e = 0; e < kElements; ++e) {
      const T range = shape_.output == SamplerOutput::kMean ? T(0) : rows()[k].noise_range;
      x_[e] += noise_[k] * std::exp(range * (inputs_.variance[e] + 1) / 2) * noise[e];
    }
  }

  SamplerOptions options_;
  Inputs<T> inputs_;
  SamplerStepParams shape_;
  std::vector<T> flat_;
  std::vector<T> noise_;
  std::vector<T> x_, memory_;
  T threshold_[2] = {}, t_[2] = {}, network_input_[kElements] = {};
};

// Whole or fractional, as the scheduler lists them.
std::vector<double> read_timesteps(const SafetensorsFile& file, const std::string& name) {
  if (file.tensor(name).type == SafetensorsType::kF64) return file.values<double>(name);
  const std::vector<int64_t> whole = file.values<int64_t>(name);
  return {whole.begin(), whole.end()};
}

// The ratio of our x to diffusers' after k calls of step(): for Euler and Heun theirs is X = x0 + sigma eps,
// except that the last X is returned unscaled.
double scale_of_state(const SafetensorsFile& expected, const std::string& name, const SamplerOptions& options,
                      size_t k, size_t steps) {
  const bool in_sigma = options.method == SamplerMethod::kEuler || options.method == SamplerMethod::kHeun;
  if (!in_sigma || k == steps) return 1;
  const double sigma = expected.values<double>(name + "/sigmas")[k];
  return 1 / std::hypot(sigma, options.edm ? options.edm->sigma_data : 1);
}

// The largest error of any state, relative to that state's largest value.
template <typename T>
double trajectory_error(const std::string& name, const SamplerTable& table, const SamplerOptions& options,
                        const SafetensorsFile& expected) {
  const std::vector<double> states = expected.values<double>(name + "/x");
  const size_t steps = table.rows.size();
  if (states.size() != (steps + 1) * kElements) return INFINITY;
  Replay<T> replay(table, options);
  double worst = 0;
  for (size_t k = 0; k <= steps; ++k) {
    if (k > 0) replay.step(static_cast<int64_t>(k) - 1);
    std::vector<double> theirs = state<double>(states, k);
    for (double& value : theirs) value *= scale_of_state(expected, name, options, k, steps);
    worst = std::max(worst, relative_error(replay.x(), theirs));
  }
  return worst;
}

double bound(const SamplerOptions& options, const SamplerTable& table, bool is_double) {
  if (!is_double) return 1e-4;  // tests/parity/README.md: diffusers' own float32 is off by up to 3.3e-5
  // If its last timestep is above 0, diffusers' DDPM adds noise of standard deviation 1e-10 even in the last
  // step, since its smallest variance is 1e-20; the paper adds none.
  if (options.method == SamplerMethod::kDdpm && table.rows.back().timestep > 0) return 1e-9;
  // Differences such as 1 - alpha_bar and lambda_t - lambda_s lose three digits; twenty steps add up.
  return 1e-12;
}

class Schedulers : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, Schedulers,
                         ::testing::Values("ddpm", "ddim", "dpm_solver", "unipc", "euler", "heun",
                                           "edm_euler"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST_P(Schedulers, TrajectoriesMatchDiffusers) {
  const std::string family = GetParam();
  const nlohmann::json file = read_json(kSchedulers / (family + ".json"));
  const SafetensorsFile expected(kSchedulers / (family + ".safetensors"));
  ASSERT_FALSE(file["cases"].empty());
  double worst[2] = {};
  for (const nlohmann::json& test : file["cases"]) {
    const std::string name = test["name"];
    const SamplerOptions options = sampler_options(file["_class_name"], test);
    const SamplerTable table =
        sampler_table(NoiseSchedule(schedule_options(file["_class_name"], test["config"])), options);
    std::vector<double> timesteps;
    for (const SamplerRow<double>& row : table.rows) timesteps.push_back(row.timestep);
    // Fractional timesteps are computed from logarithms of sigmas.
    EXPECT_LT(relative_error(timesteps, read_timesteps(expected, name + "/timesteps")), 1e-12) << name;
    const double errors[2] = {trajectory_error<double>(name, table, options, expected),
                              trajectory_error<float>(name, table, options, expected)};
    for (const int i : {0, 1}) {
      const double limit = bound(options, table, i == 0);
      EXPECT_LT(errors[i], limit) << family << '/' << name << (i == 0 ? " in double" : " in float");
      worst[i] = std::max(worst[i], errors[i] / limit);
    }
  }
  std::cout << family << ": " << file["cases"].size() << " trajectories; worst error / bound " << worst[0]
            << " in double, " << worst[1] << " in float\n";
}

}  // namespace
}  // namespace ddpm::parity
