// Whole U-Nets against diffusers: the same weights and input give the same output and the same gradients.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "model/checkpoint.h"
#include "model/parameters.h"
#include "runtime/cpu_executor.h"
#include "runtime/differentiate.h"
#include "support/error.h"
#include "tests/parity/fixtures.h"
#include "tests/parity/unet_config.h"

namespace ddpm::parity {
namespace {

const std::vector<std::string> kExpressible = {
    "ddpm",        "defaults",     "one_head",        "attention_everywhere", "one_level", "channels_1_to_2",
    "scale_shift", "no_attention", "attention_groups"};

// Cases that model/unet.h has no option for, and the key of config.json that says so.
const std::vector<std::pair<std::string, std::string>> kNotExpressible = {
    {"resnet_types", "down_block_types"},
    {"resnet_types_scale_shift", "downsample_type"},
    {"attention_resnet_resampling", "downsample_type"},
    {"no_middle", "mid_block_type"},
    {"middle_scale", "mid_block_scale_factor"},
    {"class_embedding", "num_class_embeds"},
    {"class_timestep", "class_embed_type"},
    {"class_identity", "class_embed_type"},
    {"time_embedding_dim", "time_embedding_dim"},
    {"fourier", "time_embedding_type"},
    {"learned_time", "num_train_timesteps"},
    {"center_input", "center_input_sample"},
};

UnetConfig config_of(const std::string& name) {
  return unet_config(read_json(fixtures() / name / "config.json"));
}

// A forward and a backward pass over a fixture's weights and inputs.
template <typename T>
class Network {
 public:
  Network(const std::string& name, CpuProducts products)
      : expected_(fixtures() / name / "expected.safetensors"),
        executor_(differentiated(config_of(name)), products) {
    const std::vector<float> weights =
        read_arena(fixtures() / name / "model.safetensors", executor_.program());
    executor_.write_parameters(weights);
    fill("x", read_channels_last(expected_, "sample"));
    fill("probe", read_channels_last(expected_, "probe"));
    std::vector<double> t;
    for (const int64_t step : expected_.values<int64_t>("timesteps")) t.push_back(double(step));
    fill("t", t);
    executor_.run(Phase::kForward);
    executor_.run(Phase::kBackward);
  }

  double output_error() { return error("conv_out", "output"); }

  // Over the input and all parameters, relative to the largest gradient of the network.
  double gradient_error() {
    double scale = 0,
           most = largest_difference<T>(executor_.values(dx_), read_channels_last(expected_, "grad_sample"));
    for (const auto& [name, view] : expected_.tensors())
      if (name.starts_with("grad")) scale = std::max(scale, largest(expected_.values<double>(name)));
    for_each_tensor(executor_.program(), [&](const NamedTensor& tensor, int64_t offset) {
      const std::span<const T> actual =
          executor_.gradients().subspan(size_t(offset), size_t(element_count(tensor.shape)));
      const double difference =
          largest_difference<T>(actual, read_channels_last(expected_, "grad." + tensor.name));
      EXPECT_TRUE(std::isfinite(difference)) << tensor.name;
      most = std::max(most, difference);
    });
    return most / scale;
  }

  size_t expected_gradients() const {
    return size_t(std::count_if(expected_.tensors().begin(), expected_.tensors().end(),
                                [](const auto& tensor) { return tensor.first.starts_with("grad."); }));
  }
  size_t tensors() const {
    size_t count = 0;
    for_each_tensor(executor_.program(), [&](const NamedTensor&, int64_t) { ++count; });
    return count;
  }

 private:
  Program differentiated(const UnetConfig& config) {
    Program program = unet_program(config, int(expected_.tensor("sample").shape[0]));
    const BufferId output = program.find("conv_out"), x = program.find("x");
    const BufferId probe = program.add_buffer("probe", program.shape(output), Role::kState);
    dx_ = differentiate(program, {.output = output, .output_gradient = probe, .wanted_input = x});
    program.keep(dx_);
    return program;
  }

  void fill(const char* buffer, const std::vector<double>& values) {
    const std::span<T> target = executor_.values(executor_.program().find(buffer));
    ASSERT_EQ(target.size(), values.size()) << buffer;
    std::copy(values.begin(), values.end(), target.begin());
  }
  double error(const char* buffer, const char* name) {
    const std::span<const T> actual = executor_.values(executor_.program().find(buffer));
    return relative_error(std::vector<T>(actual.begin(), actual.end()), read_channels_last(expected_, name));
  }

  SafetensorsFile expected_;
  BufferId dx_ = kNoBuffer;
  CpuExecutor<T> executor_;
};

class UnetParity : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Cases, UnetParity, ::testing::ValuesIn(kExpressible),
                         [](const auto& instance) { return instance.param; });

// The fixtures are float64 results rounded to float32: off by half a unit of float32, 2^-24 of the value.
// Ours in double adds some 1e-13.
constexpr double kRounding = 0x1p-24 * 1.001;
// In float: diffusers' own float32 run is off by 7e-7 and 1.2e-6 (tests/parity/README.md); other orders of
// summation are allowed eight times that.
constexpr double kFloatBound = 1e-5;

TEST_P(UnetParity, DoubleIsDiffusersUpToTheFixturesRounding) {
  Network<double> network(GetParam(), CpuProducts::kPlainLoops);
  EXPECT_LT(network.output_error(), kRounding);
  EXPECT_LT(network.gradient_error(), kRounding);
  EXPECT_EQ(network.tensors(), network.expected_gradients());
}

TEST_P(UnetParity, FloatWithOnednnIsDiffusersUpToFloatRounding) {
  Network<float> network(GetParam(), CpuProducts::kFast);
  EXPECT_LT(network.output_error(), kFloatBound);
  EXPECT_LT(network.gradient_error(), kFloatBound);
}

TEST_P(UnetParity, FloatWithPlainLoopsIsDiffusersUpToFloatRounding) {
  Network<float> network(GetParam(), CpuProducts::kPlainLoops);
  EXPECT_LT(network.output_error(), kFloatBound);
  EXPECT_LT(network.gradient_error(), kFloatBound);
}

// A fixture that nobody compares with would be a silent gap.
TEST(UnetParityCases, EachFixtureIsComparedOrSaysWhyNot) {
  std::vector<std::string> listed = kExpressible;
  for (const auto& [name, key] : kNotExpressible) {
    listed.push_back(name);
    try {
      config_of(name);
      ADD_FAILURE() << name << " can be expressed now: compare it";
    } catch (const InputError& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with(key + " ")) << name << ": " << error.what();
    }
  }
  std::vector<std::string> cases = read_json(fixtures() / "unet_cases.json").at("cases");
  std::sort(cases.begin(), cases.end());
  std::sort(listed.begin(), listed.end());
  EXPECT_EQ(listed, cases);
}

}  // namespace
}  // namespace ddpm::parity
