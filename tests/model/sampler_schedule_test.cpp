// Sampler tables against the papers' equations, against what the equations must achieve on data whose best
// network is known, and against whole trajectories of diffusers' schedulers.
#include "model/sampler_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "runtime/safetensors.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

using ::testing::ElementsAre;

NoiseSchedule linear_schedule(int timesteps = 1000) {
  NoiseScheduleOptions options;
  options.timesteps = timesteps;
  options.beta_start = 1e-4 * 1000 / timesteps;  // the same continuous process at any resolution
  options.beta_end = 0.02 * 1000 / timesteps;
  return NoiseSchedule(options);
}

SamplerOptions unclipped(SamplerMethod method, int steps) {
  SamplerOptions options;
  options.method = method;
  options.steps = steps;
  options.clip_sample = false;
  return options;
}

SamplerOptions with_spacing(TimestepSpacing spacing, int steps, SamplerMethod method = SamplerMethod::kDdim) {
  SamplerOptions options = unclipped(method, steps);
  options.timestep_spacing = spacing;
  return options;
}

// One element's update, as kernels/sampler_step.h defines it.
struct Element {
  double x;
  double previous_x0;
};
void update(Element& element, const SamplerCoefficients& row, Prediction prediction, double output,
            double z) {
  const double a = row.signal;
  const double s = row.noise_level;
  const double x = element.x;
  double x0 = (x - s * output) / a;
  double epsilon = output;
  if (prediction == Prediction::kSample) {
    x0 = output;
    epsilon = (x - a * output) / s;
  } else if (prediction == Prediction::kVelocity) {
    x0 = a * x - s * output;
    epsilon = a * output + s * x;
  }
  x0 = std::clamp(x0, -row.clip_range, row.clip_range);
  element.x = row.x0_coefficient * x0 + row.x_coefficient * x + row.epsilon_coefficient * epsilon +
              row.previous_x0_coefficient * element.previous_x0 + row.noise_coefficient * z;
  element.previous_x0 = x0;
}

TEST(SamplingTimesteps, FollowTheNamedSpacings) {
  const NoiseSchedule schedule = linear_schedule();
  EXPECT_THAT(sampling_timesteps(schedule, with_spacing(TimestepSpacing::kLeading, 10)),
              ElementsAre(900, 800, 700, 600, 500, 400, 300, 200, 100, 0));
  EXPECT_THAT(sampling_timesteps(schedule, with_spacing(TimestepSpacing::kTrailing, 10)),
              ElementsAre(999, 899, 799, 699, 599, 499, 399, 299, 199, 99));
  EXPECT_THAT(sampling_timesteps(schedule, with_spacing(TimestepSpacing::kLinspace, 10)),
              ElementsAre(999, 888, 777, 666, 555, 444, 333, 222, 111, 0));
  // NumPy rounds halves to even: 812.5 becomes 812, from which 1 is taken.
  EXPECT_THAT(sampling_timesteps(schedule, with_spacing(TimestepSpacing::kTrailing, 16)),
              ElementsAre(999, 937, 874, 811, 749, 687, 624, 561, 499, 437, 374, 311, 249, 187, 124, 61));
  // DDIM's code: linspace(0, sqrt(800), 10)^2, truncated.
  EXPECT_THAT(sampling_timesteps(schedule, with_spacing(TimestepSpacing::kQuadratic, 10)),
              ElementsAre(800, 632, 483, 355, 246, 158, 88, 39, 9, 0));
  SamplerOptions offset = with_spacing(TimestepSpacing::kLeading, 4);
  offset.steps_offset = 1;
  EXPECT_THAT(sampling_timesteps(schedule, offset), ElementsAre(751, 501, 251, 1));
}

TEST(SamplingTimesteps, AllOfThemAreTheWholeChain) {
  const NoiseSchedule schedule = linear_schedule();
  for (const TimestepSpacing spacing :
       {TimestepSpacing::kLeading, TimestepSpacing::kTrailing, TimestepSpacing::kLinspace}) {
    const std::vector<int> timesteps = sampling_timesteps(schedule, with_spacing(spacing, 1000));
    ASSERT_EQ(timesteps.size(), 1000u);
    for (size_t k = 0; k < 1000; ++k) EXPECT_EQ(timesteps[k], 999 - static_cast<int>(k));
  }
}

TEST(SamplingTimesteps, FallForEveryNumberOfSteps) {
  const NoiseSchedule schedule = linear_schedule();
  for (int steps = 1; steps <= 500; ++steps)
    for (const TimestepSpacing spacing : {TimestepSpacing::kLeading, TimestepSpacing::kTrailing,
                                          TimestepSpacing::kLinspace, TimestepSpacing::kQuadratic})
      for (const SamplerMethod method : {SamplerMethod::kDdim, SamplerMethod::kDpmpp2m}) {
        const std::vector<int> timesteps = sampling_timesteps(schedule, with_spacing(spacing, steps, method));
        if (spacing != TimestepSpacing::kQuadratic) {
          EXPECT_EQ(timesteps.size(), static_cast<size_t>(steps));
        }
        EXPECT_TRUE(std::is_sorted(timesteps.rbegin(), timesteps.rend()));
        EXPECT_EQ(std::adjacent_find(timesteps.begin(), timesteps.end()), timesteps.end());
      }
}

// Ho et al. 2020, algorithm 2, as printed there: x' = (x - beta / sqrt(1 - alpha_bar) eps) / sqrt(alpha) +
// sigma z.
TEST(SamplerTable, DdpmIsAlgorithm2OfItsPaper) {
  const NoiseSchedule schedule = linear_schedule();
  for (const VarianceType variance : {VarianceType::kFixedSmall, VarianceType::kFixedLarge}) {
    SamplerOptions options = unclipped(SamplerMethod::kDdpm, 1000);
    options.variance_type = variance;
    const std::vector<SamplerCoefficients> table = sampler_table(schedule, options);
    double log_alpha_bar = 0;
    for (size_t t = 0; t < 1000; ++t) {
      const double beta = 1e-4 + (0.02 - 1e-4) * static_cast<double>(t) / 999;
      const double alpha_bar_before = std::exp(log_alpha_bar);
      log_alpha_bar += std::log1p(-beta);
      const double alpha_bar = std::exp(log_alpha_bar);
      const double small = beta * (1 - alpha_bar_before) / (1 - alpha_bar);
      const double sigma = t == 0 ? 0 : std::sqrt(variance == VarianceType::kFixedSmall ? small : beta);
      const double x = 0.7;
      const double epsilon = -1.3;
      const double z = 0.4;
      Element element = {x, 0};
      update(element, table[999 - t], Prediction::kEpsilon, epsilon, z);
      const double expected =
          (x - beta / std::sqrt(1 - alpha_bar) * epsilon) / std::sqrt(1 - beta) + sigma * z;
      // x0 is up to 157 times x (1 / sqrt(alpha_bar)), and 1 - alpha_bar(0) keeps 1e-12 of its digits.
      EXPECT_NEAR(element.x, expected, 1e-11) << t;
    }
  }
}

// Song et al. 2021 (DDIM), section 4.1: eta = 1 over all timesteps is DDPM with the small variance.
TEST(SamplerTable, DdimWithEtaOneIsDdpm) {
  const NoiseSchedule schedule = linear_schedule();
  SamplerOptions ddpm = unclipped(SamplerMethod::kDdpm, 1000);
  ddpm.variance_type = VarianceType::kFixedSmall;
  SamplerOptions ddim = unclipped(SamplerMethod::kDdim, 1000);
  ddim.eta = 1;
  const auto a = sampler_table(schedule, ddpm);
  const auto b = sampler_table(schedule, ddim);
  for (size_t k = 0; k < 1000; ++k) {
    // Both as functions of (x0, eps), with x = signal x0 + noise_level eps. Differences of 1 - alpha_bar:
    // 1e-12.
    EXPECT_NEAR(a[k].x0_coefficient + a[k].x_coefficient * a[k].signal, b[k].x0_coefficient, 1e-12);
    EXPECT_NEAR(a[k].x_coefficient * a[k].noise_level, b[k].epsilon_coefficient, 1e-12);
    EXPECT_NEAR(a[k].noise_coefficient, b[k].noise_coefficient, 1e-12);
  }
}

// Where the data is one point, the best network knows x0 exactly, and every step of every sampler must land
// on the forward process's marginal at the next timestep: mean signal * x0, variance 1 - alpha_bar. The
// bound: doubles, with 1 - alpha_bar(0) = 1e-4 in denominators.
TEST(SamplerTable, EveryStepKeepsTheMarginalOfOnePointData) {
  const NoiseSchedule schedule = linear_schedule();
  for (const SamplerMethod method : {SamplerMethod::kDdpm, SamplerMethod::kDdim, SamplerMethod::kDpmpp2m})
    for (const int steps : {1, 2, 7, 50, 1000})
      for (const double eta : {0.0, 0.5, 1.0}) {
        if (method == SamplerMethod::kDpmpp2m && steps == 1000) continue;  // it leaves t = 0 out
        SamplerOptions options = unclipped(method, steps);
        options.eta = eta;
        options.variance_type = VarianceType::kFixedSmall;
        const std::vector<SamplerCoefficients> table = sampler_table(schedule, options);
        for (size_t k = 0; k < table.size(); ++k) {
          const SamplerCoefficients& row = table[k];
          const double next_signal = k + 1 < table.size() ? table[k + 1].signal : 1;
          const double next_noise = k + 1 < table.size() ? table[k + 1].noise_level : 0;
          EXPECT_NEAR(row.x0_coefficient + row.previous_x0_coefficient + row.x_coefficient * row.signal,
                      next_signal, 1e-11);
          EXPECT_NEAR(std::hypot(row.x_coefficient * row.noise_level + row.epsilon_coefficient,
                                 row.noise_coefficient),
                      next_noise, 1e-11);
        }
      }
}

// Where the data is N(mean, deviation^2), the best network is a linear function of x, and the exact flow
// carries each quantile of the noise to the same quantile of the data. Returns how far the sampler misses at
// the quantile 1.
double quantile_error(const NoiseSchedule& schedule, const SamplerOptions& options) {
  constexpr double kMean = 0.3;
  constexpr double kDeviation = 0.5;
  const std::vector<SamplerCoefficients> table = sampler_table(schedule, options);
  const auto marginal_variance = [](const SamplerCoefficients& row) {
    return std::pow(row.signal * kDeviation, 2) + std::pow(row.noise_level, 2);
  };
  Element element = {table[0].signal * kMean + std::sqrt(marginal_variance(table[0])), 0};
  for (const SamplerCoefficients& row : table) {
    const double epsilon = row.noise_level * (element.x - row.signal * kMean) / marginal_variance(row);
    update(element, row, Prediction::kEpsilon, epsilon, 0);
  }
  return std::abs(element.x - (kMean + kDeviation));
}

TEST(SamplerTable, DeterministicSamplersConvergeAtTheirOrder) {
  const NoiseSchedule schedule = linear_schedule(20000);
  const auto error = [&](SamplerMethod method, int steps) {
    return quantile_error(schedule, with_spacing(TimestepSpacing::kTrailing, steps, method));
  };
  // First order: half the error for twice the steps.
  EXPECT_NEAR(error(SamplerMethod::kDdim, 100) / error(SamplerMethod::kDdim, 200), 2, 0.1);
  EXPECT_NEAR(error(SamplerMethod::kDdim, 200) / error(SamplerMethod::kDdim, 400), 2, 0.05);
  // The second-order method gains on it as the steps shorten; its error changes sign, so its own ratio says
  // little.
  EXPECT_LT(error(SamplerMethod::kDpmpp2m, 25), error(SamplerMethod::kDdim, 25) / 4);
  EXPECT_LT(error(SamplerMethod::kDpmpp2m, 100), error(SamplerMethod::kDdim, 100) / 16);
  EXPECT_LT(error(SamplerMethod::kDpmpp2m, 200), error(SamplerMethod::kDdim, 200) / 32);
}

TEST(SamplerTable, DdimAtEtaZeroDrawsNothing) {
  for (const SamplerCoefficients& row : sampler_table(linear_schedule(), unclipped(SamplerMethod::kDdim, 50)))
    EXPECT_EQ(row.noise_coefficient, 0);
}

TEST(SamplerTable, TheLastStepOfDdpmDrawsNothing) {
  for (const TimestepSpacing spacing :
       {TimestepSpacing::kLeading, TimestepSpacing::kTrailing, TimestepSpacing::kLinspace}) {
    const auto table = sampler_table(linear_schedule(), with_spacing(spacing, 20, SamplerMethod::kDdpm));
    EXPECT_EQ(table.back().noise_coefficient, 0);
    EXPECT_GT(table[table.size() - 2].noise_coefficient, 0);
  }
}

TEST(SamplerTable, RefusesOptionsThatContradictTheSchedule) {
  const NoiseSchedule schedule = linear_schedule();
  const auto refuses = [&](auto change) {
    SamplerOptions options;
    change(options);
    EXPECT_THROW(sampler_table(schedule, options), InputError);
  };
  refuses([](auto& o) { o.steps = 0; });
  refuses([](auto& o) { o.steps = -3; });
  refuses([](auto& o) { o.steps = 1001; });
  refuses([](auto& o) { o.steps_offset = -1; });
  refuses([](auto& o) {
    o.steps = 1000;
    o.steps_offset = 1;
  });
  refuses([](auto& o) { o.eta = 1.5; });
  refuses([](auto& o) { o.eta = -0.1; });
  refuses([](auto& o) { o.eta = NAN; });
  refuses([](auto& o) { o.clip_sample_range = 0; });
  refuses([](auto& o) { o.timesteps = {500, 500, 0}; });
  refuses([](auto& o) { o.timesteps = {0, 500}; });
  refuses([](auto& o) { o.timesteps = {1000, 500}; });
}

TEST(SamplerTable, RefusesEpsilonWithoutSignal) {
  NoiseScheduleOptions schedule_options;
  schedule_options.terminal_snr = TerminalSnr::kZero;
  const NoiseSchedule schedule(schedule_options);
  SamplerOptions options = with_spacing(TimestepSpacing::kTrailing, 10);
  EXPECT_THROW(sampler_table(schedule, options), InputError);
  for (const SamplerMethod method : {SamplerMethod::kDdpm, SamplerMethod::kDdim, SamplerMethod::kDpmpp2m}) {
    options.method = method;
    options.prediction = Prediction::kVelocity;
    for (const SamplerCoefficients& row : sampler_table(schedule, options))
      for (const double value : {row.x0_coefficient, row.x_coefficient, row.epsilon_coefficient,
                                 row.previous_x0_coefficient, row.noise_coefficient})
        EXPECT_TRUE(std::isfinite(value));
  }
}

TEST(SamplerNames, GoBothWays) {
  for (const SamplerMethod method : {SamplerMethod::kDdpm, SamplerMethod::kDdim, SamplerMethod::kDpmpp2m})
    EXPECT_EQ(parse_sampler_method(sampler_method_name(method)), method);
  for (const TimestepSpacing spacing : {TimestepSpacing::kLeading, TimestepSpacing::kTrailing,
                                        TimestepSpacing::kLinspace, TimestepSpacing::kQuadratic})
    EXPECT_EQ(parse_timestep_spacing(timestep_spacing_name(spacing)), spacing);
  for (const VarianceType variance : {VarianceType::kFixedSmall, VarianceType::kFixedLarge})
    EXPECT_EQ(parse_variance_type(variance_type_name(variance)), variance);
  EXPECT_THROW(parse_sampler_method("plms"), InputError);
}

// ---- Trajectories of diffusers, run in double precision (tests/parity/scheduler_fixtures.py) ----

const std::filesystem::path kFixtures = std::filesystem::path(DDPM_PARITY_FIXTURES) / "schedulers";

NoiseSchedule schedule_of(const nlohmann::json& config) {
  NoiseScheduleOptions options;
  options.beta_schedule = parse_beta_schedule(config.value("beta_schedule", "linear"));
  options.timesteps = config.value("num_train_timesteps", 1000);
  options.beta_start = config.value("beta_start", 1e-4);
  options.beta_end = config.value("beta_end", 0.02);
  options.trained_betas = config.value("trained_betas", std::vector<double>());
  if (config.value("rescale_betas_zero_snr", false)) options.terminal_snr = TerminalSnr::kZero;
  return NoiseSchedule(options);
}

Prediction prediction_of(const nlohmann::json& config) {
  const std::string name = config.value("prediction_type", "epsilon");
  if (name == "sample") return Prediction::kSample;
  return name == "epsilon" ? Prediction::kEpsilon : Prediction::kVelocity;
}

SamplerOptions options_of(SamplerMethod method, const nlohmann::json& test) {
  const bool is_solver = method == SamplerMethod::kDpmpp2m;
  const nlohmann::json& config = test["config"];
  SamplerOptions options;
  options.method = method;
  options.steps = test["set_timesteps"].value("num_inference_steps", 0);
  options.timesteps = test["set_timesteps"].value("timesteps", std::vector<int>());
  options.timestep_spacing =
      parse_timestep_spacing(config.value("timestep_spacing", is_solver ? "linspace" : "leading"));
  options.steps_offset = config.value("steps_offset", 0);
  options.variance_type = parse_variance_type(config.value("variance_type", "fixed_small"));
  options.eta = test["step"].value("eta", 0.0);
  options.set_alpha_to_one = config.value("set_alpha_to_one", true);
  options.prediction = prediction_of(config);
  options.clip_sample = config.value("clip_sample", !is_solver);
  options.clip_sample_range = config.value("clip_sample_range", 1.0);
  return options;
}

// Replays the case; the largest error of any state, relative to that state's largest value.
double trajectory_error(const std::string& name, const std::vector<SamplerCoefficients>& table,
                        Prediction prediction, const SafetensorsFile& expected,
                        const SafetensorsFile& inputs) {
  const std::vector<double> states = expected.values<double>(name + "/x");  // x[0] is the start
  const std::vector<double> offset = inputs.values<double>("offset");
  const std::vector<double> noise = inputs.values<double>("noise");
  const size_t count = offset.size();
  EXPECT_EQ(states.size(), (table.size() + 1) * count);
  std::vector<Element> elements;
  for (size_t i = 0; i < count; ++i) elements.push_back({states[i], 0});
  double worst = 0;
  for (size_t k = 0; k < table.size(); ++k) {
    double error = 0;
    double largest = 0;
    for (size_t i = 0; i < count; ++i) {
      const double output = 0.9 * std::cos(table[k].timestep / 1000) * elements[i].x + offset[i];
      update(elements[i], table[k], prediction, output, noise[k * count + i]);
      error += std::abs(elements[i].x - states[(k + 1) * count + i]);  // a sum, which also keeps a NaN
      largest = std::max(largest, std::abs(states[(k + 1) * count + i]));
    }
    if (!(error / largest <= worst)) worst = error / largest;
  }
  return worst;
}

void expect_diffusers_trajectories(const std::string& family, SamplerMethod method,
                                   const std::vector<std::string>& names) {
  const nlohmann::json cases = nlohmann::json::parse(read_file(kFixtures / (family + ".json")))["cases"];
  const SafetensorsFile expected(kFixtures / (family + ".safetensors"));
  const SafetensorsFile inputs(kFixtures / "inputs.safetensors");
  size_t found = 0;
  for (const nlohmann::json& test : cases) {
    const std::string name = test["name"];
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    ++found;
    const SamplerOptions options = options_of(method, test);
    const std::vector<SamplerCoefficients> table = sampler_table(schedule_of(test["config"]), options);
    std::vector<int64_t> timesteps;
    timesteps.reserve(table.size());
    for (const SamplerCoefficients& row : table) timesteps.push_back(static_cast<int64_t>(row.timestep));
    ASSERT_EQ(timesteps, expected.values<int64_t>(name + "/timesteps")) << name;
    // Both in double, and beta near 1 costs three digits. Where its last timestep is above 0, diffusers' DDPM
    // adds noise of deviation 1e-10 (its smallest variance is 1e-20), and here 12 elements are summed.
    const bool adds_last_noise = method == SamplerMethod::kDdpm && timesteps.back() > 0;
    const double bound = adds_last_noise ? 1e-8 : 1e-11;
    EXPECT_LT(trajectory_error(name, table, options.prediction, expected, inputs), bound) << name;
  }
  EXPECT_EQ(found, names.size());
}

TEST(Diffusers, DdpmTrajectoriesAgree) {
  expect_diffusers_trajectories("ddpm", SamplerMethod::kDdpm,
                                {"defaults",
                                 "thousand_over_seven",
                                 "spacing_linspace",
                                 "spacing_trailing",
                                 "spacing_trailing_seven",
                                 "steps_offset",
                                 "explicit_timesteps",
                                 "short_chain",
                                 "no_clip",
                                 "clip_range",
                                 "fixed_large",
                                 "fixed_large_no_clip",
                                 "scaled_linear",
                                 "squaredcos_cap_v2",
                                 "squaredcos_cap_v2_linspace",
                                 "sigmoid",
                                 "trained_betas",
                                 "predict_sample",
                                 "predict_sample_no_clip",
                                 "predict_v",
                                 "zero_snr_v",
                                 "zero_snr_sample"});
}

TEST(Diffusers, DdimTrajectoriesAgree) {
  expect_diffusers_trajectories(
      "ddim", SamplerMethod::kDdim,
      {"defaults", "no_clip", "spacing_linspace", "spacing_trailing", "spacing_trailing_seven",
       "steps_offset", "alpha_not_one", "eta_half", "eta_one", "eta_one_clipped", "scaled_linear",
       "squaredcos_cap_v2", "predict_sample", "predict_v", "predict_v_eta", "zero_snr_v"});
}

TEST(Diffusers, DpmSolverTrajectoriesAgree) {
  expect_diffusers_trajectories("dpm_solver", SamplerMethod::kDpmpp2m,
                                {"order_2", "order_2_twenty_steps", "spacing_leading", "spacing_trailing",
                                 "predict_sample", "predict_v"});
}

}  // namespace
}  // namespace ddpm
