// U-Nets against diffusers: the same weights and inputs give the same outputs and gradients.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/weights/arena_file.h"
#include "model/weights/diffusers_config.h"
#include "model/weights/parameters.h"
#include "runtime/cpu/cpu_executor.h"
#include "runtime/program/differentiate.h"
#include "tests/parity/fixtures.h"

namespace ddpm::parity {
namespace {

std::vector<std::string> cases() { return read_json(fixtures() / "unet_cases.json").at("cases"); }

UnetConfig config_of(const std::string& name) {
  const auto path = fixtures() / name / "config.json";
  return parse_unet_config(read_file(path), path.string()).network;
}

std::vector<double> numbers(const SafetensorsFile& file, const std::string& name) {
  if (file.tensor(name).type != SafetensorsType::kI64) return file.values<double>(name);
  const std::vector<int64_t> values = file.values<int64_t>(name);
  return {values.begin(), values.end()};
}

// Row i is one at classes[i] and zero elsewhere.
std::vector<double> one_hot(const std::vector<double>& classes, int count) {
  std::vector<double> rows(classes.size() * size_t(count), 0.0);
  for (size_t i = 0; i < classes.size(); ++i) rows[i * size_t(count) + size_t(classes[i])] = 1;
  return rows;
}

// A fixture's tensor in the layout of ours.
std::vector<double> in_our_order(const NamedTensor& tensor, const std::vector<double>& values) {
  if (tensor.layout != TensorLayout::kTransposed) return channels_last(values, tensor.shape);
  // Transposing a (rows, columns) matrix moves the channels of one (1, rows, columns, 1) image last.
  return channels_last(values, {1, tensor.shape[0], tensor.shape[1], 1});
}

// A forward and a backward pass over a fixture's weights and inputs.
template <typename T>
class Network {
 public:
  Network(const std::string& name, CpuKernels products)
      : config_(config_of(name)),
        expected_(fixtures() / name / "expected.safetensors"),
        executor_(differentiated(), products) {
    executor_.write_parameters(
        read_arena(SafetensorsFile(fixtures() / name / "model.safetensors"), executor_.program()));
    fill("x", read_channels_last(expected_, "sample"));
    fill("probe", read_channels_last(expected_, "probe"));
    fill("t", numbers(expected_, "timesteps"));
    if (expected_.contains("class_labels")) {
      const std::vector<double> labels = numbers(expected_, "class_labels");
      fill("labels", config_.class_embedding == ClassEmbedding::kTable
                         ? one_hot(labels, config_.num_class_embeds)
                         : labels);
    }
    executor_.run(Phase::kForward);
    executor_.run(Phase::kBackward);
  }

  double output_error() {
    return largest_difference<T>(values("conv_out"), read_channels_last(expected_, "output")) /
           largest(expected_.values<double>("output"));
  }

  // The largest error of the input's and all parameters' gradients, relative to the largest gradient.
  double gradient_error() {
    double scale = 0;
    double most = largest_difference<T>(executor_.values(dx_), read_channels_last(expected_, "grad_sample"));
    for (const auto& [name, view] : expected_.tensors())
      if (name.starts_with("grad")) scale = std::max(scale, largest(expected_.values<double>(name)));
    for_each_tensor(executor_.program(), [&](const NamedTensor& tensor, int64_t offset) {
      const size_t count = size_t(element_count(tensor.shape));
      const std::string name = "grad." + tensor.name;
      // Tensors that diffusers does not train (the frequencies of `fourier`) must have no
      // gradient here, either.
      const std::vector<double> expected = expected_.contains(name)
                                               ? in_our_order(tensor, expected_.values<double>(name))
                                               : std::vector<double>(count, 0.0);
      const double difference =
          largest_difference<T>(executor_.gradients().subspan(size_t(offset), count), expected);
      EXPECT_TRUE(std::isfinite(difference)) << tensor.name;
      most = std::max(most, difference);
    });
    return most / scale;
  }

  // Names of diffusers' gradients for which we have no tensor.
  std::vector<std::string> gradients_without_tensor() const {
    std::vector<std::string> names;
    for (const auto& [name, view] : expected_.tensors())
      if (name.starts_with("grad.")) names.push_back(name.substr(5));
    for_each_tensor(executor_.program(),
                    [&](const NamedTensor& tensor, int64_t) { std::erase(names, tensor.name); });
    return names;
  }

 private:
  Program differentiated() {
    Program program = unet_program(config_, int(expected_.tensor("sample").shape[0]));
    const BufferId output = program.find("conv_out"), x = program.find("x");
    const BufferId probe = program.add_buffer("probe", program.shape(output), Role::kState);
    dx_ = differentiate(program, {.output = output, .output_gradient = probe, .wanted_input = x});
    program.keep(dx_);
    return program;
  }

  std::span<T> values(const char* buffer) { return executor_.values(executor_.program().find(buffer)); }
  void fill(const char* buffer, const std::vector<double>& given) {
    ASSERT_EQ(values(buffer).size(), given.size()) << buffer;
    std::copy(given.begin(), given.end(), values(buffer).begin());
  }

  UnetConfig config_;
  SafetensorsFile expected_;
  BufferId dx_ = kNoBuffer;
  CpuExecutor<T> executor_;
};

class UnetParity : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Cases, UnetParity, ::testing::ValuesIn(cases()),
                         [](const auto& instance) { return instance.param; });

// The fixtures are float64 results rounded to float32, which are off by half a unit, 2^-24 of the value. Our
// double results add about 1e-13.
constexpr double kRounding = 0x1p-24 * 1.001;
// In float, diffusers' own float32 run is off by 7e-7 and 1.2e-6 (tests/parity/README.md); other summation
// orders may be off by eight times that.
constexpr double kFloatBound = 1e-5;

TEST_P(UnetParity, DoubleMatchesDiffusersUpToFixtureRounding) {
  Network<double> network(GetParam(), CpuKernels::kReference);
  EXPECT_LT(network.output_error(), kRounding);
  EXPECT_LT(network.gradient_error(), kRounding);
  EXPECT_THAT(network.gradients_without_tensor(), ::testing::IsEmpty());
}

TEST_P(UnetParity, OneDnnMatchesDiffusersUpToFloatRounding) {
  Network<float> network(GetParam(), CpuKernels::kFast);
  EXPECT_LT(network.output_error(), kFloatBound);
  EXPECT_LT(network.gradient_error(), kFloatBound);
}

TEST_P(UnetParity, PlainLoopsMatchDiffusersUpToFloatRounding) {
  Network<float> network(GetParam(), CpuKernels::kReference);
  EXPECT_LT(network.output_error(), kFloatBound);
  EXPECT_LT(network.gradient_error(), kFloatBound);
}

}  // namespace
}  // namespace ddpm::parity
