// Sampler tables against the papers' equations, and against what the equations must achieve on data whose
// best network is known. Whole trajectories of diffusers' schedulers: tests/parity/scheduler_parity_test.cpp.
#include "model/sampling/sampler_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <set>

#include "kernels/reference/reference.h"
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

// One element on its way, stepped by the reference kernel.
class Element {
 public:
  Element(const SamplerTable& table, double x) : rows_(table.rows), x_(x) {
    for (SamplerRow<double>& row : rows_) std::swap(row.noise, deviations_.emplace_back());
    shape_ = {.n = 1,
              .h = 1,
              .w = 1,
              .c = 1,
              .steps = static_cast<int>(rows_.size()),
              .history_size = table.history_size};
  }

  double x() const { return x_; }

  void step(size_t k, double output, double z) {
    const auto index = static_cast<int64_t>(k);
    const int64_t first_image = 0;
    double network_input = 0, t = 0;
    reference::sampler_step<double>(shape_, {.output = &output,
                                             .table = rows_.data(),
                                             .index = &index,
                                             .first_image = &first_image,
                                             .x = &x_,
                                             .history = memory_,
                                             .threshold = nullptr,
                                             .network_input = &network_input,
                                             .t = &t});
    x_ += deviations_[k] * z;
  }

 private:
  std::vector<SamplerRow<double>> rows_;
  std::vector<double> deviations_;
  SamplerStepParams shape_;
  double x_;
  double memory_[kSamplerHistory] = {NAN, NAN, NAN};  // nothing until it is written
};

std::vector<SamplerMethod> methods_where(const std::function<bool(const SamplerTraits&)>& has) {
  std::vector<SamplerMethod> methods;
  for (const SamplerTraits& traits : kSamplers)
    if (has(traits)) methods.push_back(traits.method);
  return methods;
}
const std::vector<SamplerMethod> kMethods = methods_where([](const SamplerTraits&) { return true; });
const std::vector<SamplerMethod> kSigmaMethods = methods_where(&SamplerTraits::takes_sigmas);

TEST(SamplingTimesteps, FollowTheirSpacing) {
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

TEST(SamplingTimesteps, FullCountIsTheWholeChain) {
  const NoiseSchedule schedule = linear_schedule();
  for (const TimestepSpacing spacing :
       {TimestepSpacing::kLeading, TimestepSpacing::kTrailing, TimestepSpacing::kLinspace}) {
    const std::vector<double> timesteps = sampling_timesteps(schedule, with_spacing(spacing, 1000));
    ASSERT_EQ(timesteps.size(), 1000u);
    for (size_t k = 0; k < 1000; ++k) EXPECT_EQ(timesteps[k], 999 - static_cast<int>(k));
  }
}

TEST(SamplingTimesteps, FallForEveryNumberOfSteps) {
  const NoiseSchedule schedule = linear_schedule();
  for (int steps = 1; steps <= 500; ++steps)
    for (const TimestepSpacing spacing : {TimestepSpacing::kLeading, TimestepSpacing::kTrailing,
                                          TimestepSpacing::kLinspace, TimestepSpacing::kQuadratic})
      for (const SamplerMethod method : kMethods) {
        if (spacing == TimestepSpacing::kQuadratic && method != SamplerMethod::kDdim) continue;
        const std::vector<double> timesteps =
            sampling_timesteps(schedule, with_spacing(spacing, steps, method));
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
    const SamplerTable table = sampler_table(schedule, options);
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
      Element element(table, x);
      element.step(999 - t, epsilon, z);
      const double expected =
          (x - beta / std::sqrt(1 - alpha_bar) * epsilon) / std::sqrt(1 - beta) + sigma * z;
      // x0 is up to 157 times x (1 / sqrt(alpha_bar)), and 1 - alpha_bar(0) keeps 1e-12 of its digits.
      EXPECT_NEAR(element.x(), expected, 1e-11) << t;
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
  const SamplerTable a = sampler_table(schedule, ddpm);
  const SamplerTable b = sampler_table(schedule, ddim);
  for (size_t k = 0; k < 1000; ++k)
    for (const auto& [x, epsilon, z] : {std::array{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}}) {
      Element one(a, x), other(b, x);
      one.step(k, epsilon, z);
      other.step(k, epsilon, z);
      // x0 is up to 157 times x, and 1 - alpha_bar(0) keeps 1e-12 of its digits.
      EXPECT_NEAR(one.x(), other.x(), 1e-11);
    }
}

// Where the data is one point, the best network knows x0 exactly, and every sampler must end there, whatever
// its noise. The bound: doubles, with sigma up to 157.
TEST(SamplerTable, EverySamplerReachesAPointDistribution) {
  const NoiseSchedule schedule = linear_schedule();
  for (const SamplerMethod method : kSigmaMethods)
    for (const int steps : {1, 2, 7, 50})
      for (const SigmaSpacing spacing : {SigmaSpacing::kTimesteps, SigmaSpacing::kKarras}) {
        SamplerOptions options = with_spacing(TimestepSpacing::kLinspace, steps, method);
        options.prediction = Prediction::kSample;
        options.sigma_spacing = spacing;
        const SamplerTable table = sampler_table(schedule, options);
        const std::vector<NoiseLevel> levels = sampling_levels(schedule, options);
        Element mean(table, levels[0].signal);
        for (size_t k = 0; k < table.rows.size(); ++k) mean.step(k, 1, 0);
        EXPECT_NEAR(mean.x(), 1, 1e-12) << sampler_method_name(method);
        Element noise(table, levels[0].noise_level);
        for (size_t k = 0; k < table.rows.size(); ++k) noise.step(k, 0, 1.3);
        EXPECT_NEAR(noise.x(), 0, 1e-12) << sampler_method_name(method);
      }
}

// And every step of DDPM and DDIM must land on the forward process's marginal at the next timestep: mean
// signal x0, variance 1 - alpha_bar.
TEST(SamplerTable, AncestralStepsKeepTheMarginalOfAPoint) {
  const NoiseSchedule schedule = linear_schedule();
  for (const SamplerMethod method : {SamplerMethod::kDdpm, SamplerMethod::kDdim})
    for (const int steps : {1, 2, 7, 50, 1000})
      for (const double eta : {0.0, 0.5, 1.0}) {
        SamplerOptions options = unclipped(method, steps);
        options.eta = eta;
        options.variance_type = VarianceType::kFixedSmall;
        options.prediction = Prediction::kSample;
        const SamplerTable table = sampler_table(schedule, options);
        ASSERT_FALSE(table.rows.empty());
        const auto alpha_bar = [&](size_t k) {
          return k < table.rows.size() ? schedule.alpha_bar()[static_cast<size_t>(table.rows[k].timestep)]
                                       : 1;
        };
        for (size_t k = 0; k < table.rows.size(); ++k) {
          Element mean(table, std::sqrt(alpha_bar(k))), noise(table, std::sqrt(1 - alpha_bar(k)));
          mean.step(k, 1, 0);
          noise.step(k, 0, 0);
          // Doubles, with 1 - alpha_bar(0) = 1e-4 in denominators.
          EXPECT_NEAR(mean.x(), std::sqrt(alpha_bar(k + 1)), 1e-11);
          EXPECT_NEAR(std::hypot(noise.x(), table.rows[k].noise), std::sqrt(1 - alpha_bar(k + 1)), 1e-11);
        }
      }
}

// Where the data is N(mean, deviation^2), the best network is a linear function of x, and the exact flow
// carries each quantile of the noise to the same quantile of the data. Returns how far the sampler misses at
// the quantile 1.
double quantile_error(const NoiseSchedule& schedule, const SamplerOptions& options) {
  constexpr double kMean = 0.3;
  constexpr double kDeviation = 0.5;
  const SamplerTable table = sampler_table(schedule, options);
  // Of epsilon prediction: x0 = (x - noise_level epsilon) / signal.
  const auto signal = [&](size_t k) { return 1 / table.rows[k].x0_from_x; };
  const auto noise_level = [&](size_t k) { return -table.rows[k].x0_from_output * signal(k); };
  const auto variance = [&](size_t k) {
    return std::pow(signal(k) * kDeviation, 2) + std::pow(noise_level(k), 2);
  };
  Element element(table, signal(0) * kMean + std::sqrt(variance(0)));
  for (size_t k = 0; k < table.rows.size(); ++k)
    element.step(k, noise_level(k) * (element.x() - signal(k) * kMean) / variance(k), 0);
  return std::abs(element.x() - (kMean + kDeviation));
}

TEST(SamplerTable, DeterministicSamplersConvergeAtTheirOrder) {
  const NoiseSchedule schedule = linear_schedule(20000);
  const auto error = [&](SamplerMethod method, int steps) {
    SamplerOptions options = with_spacing(TimestepSpacing::kLinspace, steps, method);
    if (method != SamplerMethod::kDdim) options.sigma_spacing = SigmaSpacing::kKarras;
    return quantile_error(schedule, options);
  };
  // First order: half the error for twice the steps.
  for (const SamplerMethod method : {SamplerMethod::kDdim, SamplerMethod::kEuler})
    EXPECT_NEAR(error(method, 50) / error(method, 100), 2, 0.2) << sampler_method_name(method);
  // Second order: a quarter. UniPC's corrector adds an order where B(h) suits the problem.
  for (const SamplerMethod method : {SamplerMethod::kDpmpp, SamplerMethod::kUnipc, SamplerMethod::kHeun}) {
    EXPECT_GT(error(method, 50) / error(method, 100), 3.5) << sampler_method_name(method);
    EXPECT_LT(error(method, 100), error(SamplerMethod::kEuler, 100) / 10) << sampler_method_name(method);
  }
}

// k-diffusion's update as printed there, in X = x / signal.
TEST(SamplerTable, EulerAncestralMatchesKDiffusion) {
  const NoiseSchedule schedule = linear_schedule();
  const SamplerOptions options = with_spacing(TimestepSpacing::kLinspace, 8, SamplerMethod::kEulerAncestral);
  const SamplerTable table = sampler_table(schedule, options);
  const std::vector<NoiseLevel> levels = sampling_levels(schedule, options);
  for (size_t k = 0; k < 8; ++k) {
    const double from = levels[k].sigma(), to = levels[k + 1].sigma();
    const double up = std::min(to, std::sqrt(to * to * (from * from - to * to) / (from * from)));
    const double down = std::sqrt(to * to - up * up);
    const double epsilon = 0.8, z = -1.1;
    Element element(table, 0.7);
    element.step(k, epsilon, z);
    const double expected = 0.7 / levels[k].signal + epsilon * (down - from) + up * z;
    // Sums of values up to sigma = 157.
    EXPECT_NEAR(element.x(), levels[k + 1].signal * expected, 1e-12);
  }
}

TEST(SamplerTable, HeunEvaluatesTwicePerStepExceptTheLast) {
  const NoiseSchedule schedule = linear_schedule();
  const SamplerTable table =
      sampler_table(schedule, with_spacing(TimestepSpacing::kLeading, 5, SamplerMethod::kHeun));
  std::vector<double> timesteps;
  for (const SamplerRow<double>& row : table.rows) timesteps.push_back(row.timestep);
  EXPECT_THAT(timesteps, ElementsAre(800, 600, 600, 400, 400, 200, 200, 0, 0));
}

TEST(SamplerTable, DeterministicSamplersDrawNoNoise) {
  for (const SamplerMethod method : {SamplerMethod::kDdim, SamplerMethod::kDpmpp, SamplerMethod::kUnipc,
                                     SamplerMethod::kEuler, SamplerMethod::kHeun}) {
    const SamplerTable table = sampler_table(linear_schedule(), unclipped(method, 50));
    ASSERT_FALSE(table.rows.empty());
    for (const SamplerRow<double>& row : table.rows) EXPECT_EQ(row.noise, 0) << sampler_method_name(method);
  }
}

TEST(SamplerTable, LastStepDrawsNoNoise) {
  for (const SamplerMethod method :
       {SamplerMethod::kDdpm, SamplerMethod::kDpmppSde, SamplerMethod::kEulerAncestral})
    for (const TimestepSpacing spacing :
         {TimestepSpacing::kLeading, TimestepSpacing::kTrailing, TimestepSpacing::kLinspace}) {
      const SamplerTable table = sampler_table(linear_schedule(), with_spacing(spacing, 20, method));
      EXPECT_EQ(table.rows.back().noise, 0);
      EXPECT_GT(table.rows[table.rows.size() - 2].noise, 0);
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
  refuses([](auto& o) { o.sigma_spacing = SigmaSpacing::kKarras; });  // DDIM has timesteps
  const auto refuses_of = [&](SamplerMethod method, auto change) {
    refuses([&](auto& o) {
      o.method = method;
      o.clip_sample = false;
      change(o);
    });
  };
  refuses_of(SamplerMethod::kEuler, [](auto& o) { o.sigma_max = 80; });  // of timesteps' sigmas
  refuses_of(SamplerMethod::kEuler, [](auto& o) {
    o.sigma_spacing = SigmaSpacing::kKarras;
    o.sigma_min = 2;
    o.sigma_max = 1;
  });
  refuses_of(SamplerMethod::kEuler, [](auto& o) { o.churn.s_churn = -1; });
  refuses_of(SamplerMethod::kHeun, [](auto& o) { o.churn.s_churn = 1; });
  refuses_of(SamplerMethod::kDpmpp, [](auto& o) { o.solver_order = 4; });
  refuses_of(SamplerMethod::kDpmpp, [](auto& o) { o.lambda_min_clipped = 100; });
  refuses_of(SamplerMethod::kDpmppSde, [](auto& o) { o.solver_order = 3; });
  refuses_of(SamplerMethod::kUnipc, [](auto& o) { o.solver_order = 0; });
  refuses_of(SamplerMethod::kUnipc, [](auto& o) { o.lower_order_final = false; });
  refuses_of(SamplerMethod::kUnipc, [](auto& o) { o.predict_x0 = false; });
  refuses_of(SamplerMethod::kUnipc, [](auto& o) {
    o.sigma_spacing = SigmaSpacing::kKarras;
    o.final_sigma = FinalSigma::kSmallest;
  });
  refuses([](auto& o) {
    o.thresholding = true;
    o.dynamic_thresholding_ratio = 1.5;
  });
  refuses([](auto& o) {
    o.thresholding = true;
    o.sample_max_value = 0.5;
  });
}

TEST(SamplerTable, RefusesEpsilonWithoutSignal) {
  NoiseScheduleOptions schedule_options;
  schedule_options.terminal_snr = TerminalSnr::kZero;
  const NoiseSchedule schedule(schedule_options);
  SamplerOptions options = with_spacing(TimestepSpacing::kTrailing, 10);
  EXPECT_THROW(sampler_table(schedule, options), InputError);
  options.prediction = Prediction::kVelocity;
  for (const SamplerMethod method : kMethods) {
    options.method = method;
    const SamplerTable table = sampler_table(schedule, options);
    ASSERT_FALSE(table.rows.empty());
    for (SamplerRow<double> row : table.rows) {
      row.clip_range = 0;  // infinite, since nothing is clipped
      for (const double value : std::bit_cast<std::array<double, kSamplerColumns>>(row))
        EXPECT_TRUE(std::isfinite(value)) << sampler_method_name(method);
    }
  }
}

TEST(SamplerTraits, RowsDescribeTheirTables) {
  constexpr int kSteps = 20;
  std::set<std::string_view> names;
  for (const SamplerTraits& traits : kSamplers) {
    EXPECT_TRUE(names.insert(traits.name).second) << traits.name;
    EXPECT_EQ(&sampler_traits(traits.method), &traits);
    const SamplerTable table = sampler_table(linear_schedule(), unclipped(traits.method, kSteps));
    EXPECT_EQ(table.rows.size(), static_cast<size_t>(kSteps * traits.evaluations - (traits.evaluations - 1)))
        << traits.name << ": the last step evaluates the network once";
    EXPECT_LE(table.history_size, kSamplerHistory) << traits.name;
    SamplerOptions sigmas = unclipped(traits.method, kSteps);
    sigmas.sigma_spacing = SigmaSpacing::kKarras;
    if (traits.takes_sigmas())
      EXPECT_NO_THROW(sampler_table(linear_schedule(), sigmas)) << traits.name;
    else
      EXPECT_THROW(sampler_table(linear_schedule(), sigmas), InputError) << traits.name;
  }
}

TEST(SamplerTraits, OrdersAreThoseOfTheRow) {
  for (const SamplerTraits& traits : kSamplers) {
    if (!traits.takes_order()) continue;
    SamplerOptions options = unclipped(traits.method, 20);
    const auto rows = [&] { return flat_rows<double>(sampler_table(linear_schedule(), options)); };
    const std::vector<double> by_default = rows();
    options.solver_order = traits.default_order;
    EXPECT_EQ(rows(), by_default) << traits.name;
    for (int order = 1; order <= traits.max_order; ++order) {
      options.solver_order = order;
      EXPECT_EQ(rows() == by_default, order == traits.default_order) << traits.name << " of order " << order;
    }
    for (const int order : {0, traits.max_order + 1}) {
      options.solver_order = order;
      EXPECT_THROW(rows(), InputError) << traits.name << " of order " << order;
    }
  }
}

TEST(SamplerNames, RoundTrip) {
  for (const SamplerMethod method : kMethods)
    EXPECT_EQ(parse_sampler_method(sampler_method_name(method)), method);
  for (const TimestepSpacing spacing : {TimestepSpacing::kLeading, TimestepSpacing::kTrailing,
                                        TimestepSpacing::kLinspace, TimestepSpacing::kQuadratic})
    EXPECT_EQ(parse_timestep_spacing(timestep_spacing_name(spacing)), spacing);
  for (const VarianceType variance :
       {VarianceType::kFixedSmall, VarianceType::kFixedLarge, VarianceType::kLearnedRange})
    EXPECT_EQ(parse_variance_type(variance_type_name(variance)), variance);
  for (const SigmaSpacing spacing :
       {SigmaSpacing::kTimesteps, SigmaSpacing::kKarras, SigmaSpacing::kExponential})
    EXPECT_EQ(parse_sigma_spacing(sigma_spacing_name(spacing)), spacing);
  EXPECT_EQ(parse_variance_type("fixed_small_log"), VarianceType::kFixedSmall);  // diffusers' other names
  EXPECT_EQ(parse_variance_type("fixed_large_log"), VarianceType::kFixedLarge);
  EXPECT_THROW(parse_sampler_method("plms"), InputError);
}

}  // namespace
}  // namespace ddpm
