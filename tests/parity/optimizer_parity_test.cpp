// Adam, AdamW, gradient clipping, warm-up and the moving average against PyTorch's optimizers and diffusers'
// EMAModel, in double.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/parity/fixtures.h"

namespace ddpm::parity {
namespace {

using Values = std::vector<double>;

// A few operations per element and step, both sides in double.
constexpr double kBound = 1e-13;

nlohmann::json cases() { return read_json(fixtures() / "optimizer/optimizer.json").at("cases"); }

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const nlohmann::json& one : cases()) names.push_back(one.at("name"));
  return names;
}

Values row(const Values& matrix, size_t index, size_t columns) {
  return {matrix.begin() + int64_t(index * columns), matrix.begin() + int64_t((index + 1) * columns)};
}

class OptimizerParity : public ::testing::TestWithParam<std::string> {
 protected:
  AdamParams shape(bool ramp) const {
    nlohmann::json options;
    for (const nlohmann::json& one : cases())
      if (one.at("name") == GetParam()) options = one;
    return {.count = int64_t(start.size()),
            .learning_rate = options.at("lr"),
            .beta1 = options.at("betas")[0],
            .beta2 = options.at("betas")[1],
            .eps = options.at("eps"),
            .weight_decay = options.value("weight_decay", 0.0),
            .clip_norm = options.at("clip_norm").is_null() ? 0.0 : options.at("clip_norm").get<double>(),
            .warmup_steps = options.at("warmup_steps"),
            .ema_decay = options.at("ema_decay"),
            .ema_ramp = ramp};
  }
  Values expected(const std::string& name) const { return file.values<double>(GetParam() + "/" + name); }

  void compare(bool ramp) const {
    const AdamParams s = shape(ramp);
    const size_t count = start.size();
    const Values gradients = file.values<double>("gradients"), weights = expected("weight"),
                 averages = expected(ramp ? "ema_ramped" : "ema_constant"), norms = expected("gradient_norm"),
                 rates = expected("learning_rate");
    Values weight = start, ema = start, m(count, 0), v(count, 0);
    double norm = 0, rate = 0;
    for (int64_t step = 0; step < int64_t(norms.size()); ++step) {
      const Values gradient = row(gradients, size_t(step), count);
      reference::adam_ema<double>(
          s, {&step, gradient.data(), weight.data(), m.data(), v.data(), ema.data(), &norm, &rate});
      EXPECT_LT(relative_error(weight, row(weights, size_t(step), count)), kBound) << "step " << step;
      EXPECT_LT(relative_error(ema, row(averages, size_t(step), count)), kBound) << "step " << step;
      EXPECT_NEAR(norm, norms[size_t(step)], kBound * norms[size_t(step)]);
      EXPECT_NEAR(rate, rates[size_t(step)], kBound * rates[size_t(step)]);
    }
    EXPECT_LT(relative_error(m, expected("exp_avg")), kBound);
    EXPECT_LT(relative_error(v, expected("exp_avg_sq")), kBound);
  }

  SafetensorsFile file{fixtures() / "optimizer/optimizer.safetensors"};
  Values start = file.values<double>("start");
};
INSTANTIATE_TEST_SUITE_P(Cases, OptimizerParity, ::testing::ValuesIn(case_names()),
                         [](const auto& instance) { return instance.param; });

TEST_P(OptimizerParity, WithConstantAveraging) { compare(false); }
TEST_P(OptimizerParity, WithRampedAveraging) { compare(true); }

}  // namespace
}  // namespace ddpm::parity
