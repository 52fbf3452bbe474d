// Named tensors in the arena: PyTorch's order and back, and the initial values of each kind.
#include "model/weights/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "model/unet/unet.h"
#include "support/error_types.h"

namespace ddpm {
namespace {

TEST(PytorchOrder, FilterIsChannelsLast) {
  // (K,C,R,S) = (1,2,2,3): the value says channel, row and column.
  const NamedTensor tensor{
      .name = "filter", .shape = {1, 2, 2, 3}, .initial = {}, .layout = TensorLayout::kFilter};
  const std::vector<float> theirs{0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112};
  const std::vector<float> ours{0, 100, 1, 101, 2, 102, 10, 110, 11, 111, 12, 112};
  std::vector<float> result(12);
  from_pytorch_order(tensor, theirs, result);
  EXPECT_EQ(result, ours);
  to_pytorch_order(tensor, ours, result);
  EXPECT_EQ(result, theirs);
}

TEST(PytorchOrder, TransposedTableIsAMatrix) {
  const NamedTensor table{
      .name = "table", .shape = {2, 3}, .initial = {}, .layout = TensorLayout::kTransposed};
  const std::vector<float> theirs{0, 1, 2, 10, 11, 12}, ours{0, 10, 1, 11, 2, 12};
  std::vector<float> result(6);
  from_pytorch_order(table, theirs, result);
  EXPECT_EQ(result, ours);
  to_pytorch_order(table, ours, result);
  EXPECT_EQ(result, theirs);
}

TEST(PytorchOrder, OtherTensorsAgree) {
  std::vector<float> values(12), result(12);
  std::iota(values.begin(), values.end(), 0.0f);
  for (const Shape& shape : {Shape{12}, Shape{3, 4}}) {
    to_pytorch_order({.name = "plain", .shape = shape, .initial = {}}, values, result);
    EXPECT_EQ(result, values);
  }
}

TEST(PytorchOrder, RefusesOtherSizes) {
  std::vector<float> twelve(12), eleven(11);
  const NamedTensor tensor{.name = "matrix", .shape = {3, 4}, .initial = {}};
  EXPECT_THROW(to_pytorch_order(tensor, twelve, eleven), LogicError);
  EXPECT_THROW(to_pytorch_order(tensor, eleven, eleven), LogicError);
}

UnetConfig network(Initialization initialization) {
  UnetConfig config;
  config.image_size = 16;
  config.block_out_channels = {32, 64};
  config.attention = {false, true};
  config.layers_per_block = 1;
  config.initialization = initialization;
  return config;
}

struct Tensor {
  NamedTensor description;
  std::vector<float> values;
};

std::map<std::string, Tensor> tensors(const Program& program, const std::vector<float>& arena) {
  std::map<std::string, Tensor> all;
  for_each_tensor(program, [&](const NamedTensor& tensor, int64_t offset) {
    const auto first = arena.begin() + offset;
    all[tensor.name] = {tensor, {first, first + element_count(tensor.shape)}};
  });
  return all;
}

std::map<std::string, Tensor> initial_tensors(Initialization initialization, uint64_t seed = 1) {
  const Program program = unet_program(network(initialization), 1);
  return tensors(program, initial_parameters(program, seed));
}

// The values fill (-limit, limit) and have a uniform distribution's mean 0 and variance limit^2 / 3.
void expect_uniform(const std::string& name, const std::vector<float>& values, double limit) {
  double sum = 0, squares = 0, largest = 0;
  for (const double value : values) {
    sum += value / limit;
    squares += value * value / (limit * limit);
    largest = std::max(largest, std::abs(value / limit));
  }
  const double n = double(values.size());
  EXPECT_LT(largest, 1 + 1e-6) << name;
  // All n values below 0.9 of the limit has the probability 0.9^n: below 1e-5 from n = 110 on.
  if (n > 110) {
    EXPECT_GT(largest, 0.9) << name;
  }
  // Standard deviations: of the mean sqrt(1/3 / n), of the mean square sqrt(4/45 / n); five of them.
  EXPECT_LT(std::abs(sum / n), 5 * std::sqrt(1 / 3.0 / n)) << name;
  EXPECT_LT(std::abs(squares / n - 1 / 3.0), 5 * std::sqrt(4 / 45.0 / n)) << name;
}

bool ends_with_one_of(const std::string& name, std::initializer_list<const char*> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](const char* ending) { return name.ends_with(ending); });
}
bool is_norm(const std::string& name) { return name.find("norm") != std::string::npos; }

TEST(InitialParameters, HoStartsResidualBranchesNearZero) {
  const auto all = initial_tensors(Initialization::kHo);
  int almost_zero = 0;
  for (const auto& [name, tensor] : all) {
    if (is_norm(name) || name.ends_with(".bias")) continue;
    const Shape& shape = tensor.description.shape;
    const double filter = shape.size() == 4 ? double(shape[2] * shape[3]) : 1;
    const bool last = ends_with_one_of(name, {"conv2.weight", "to_out.0.weight", "conv_out.weight"});
    almost_zero += last ? 1 : 0;
    // Variance scaling: uniform with variance scale / ((fan_in + fan_out) / 2).
    expect_uniform(name, tensor.values,
                   std::sqrt((last ? 3e-10 : 3.0) / (filter * double(shape[0] + shape[1]) / 2)));
  }
  // Residual blocks 2 + 2 + 4, attentions 1 + 1 + 2, the output.
  EXPECT_EQ(almost_zero, 8 + 4 + 1);
}

TEST(InitialParameters, HoStartsBiasesAtZeroAndNormsAtTheIdentity) {
  int biases = 0, scales = 0;
  for (const auto& [name, tensor] : initial_tensors(Initialization::kHo)) {
    if (!name.ends_with(".bias") && !is_norm(name)) continue;
    ++(name.ends_with(".bias") ? biases : scales);
    const float value = name.ends_with(".bias") ? 0 : 1;
    EXPECT_EQ(tensor.values, std::vector<float>(tensor.values.size(), value)) << name;
  }
  EXPECT_GT(biases, 0);
  EXPECT_GT(scales, 0);
}

TEST(InitialParameters, PytorchDrawsWeightsAndBiasesByFanIn) {
  const auto all = initial_tensors(Initialization::kPyTorch);
  ASSERT_FALSE(all.empty());
  for (const auto& [name, tensor] : all) {
    if (is_norm(name)) continue;
    // A bias has the limit of the weight beside it.
    const Shape& shape = all.at(name.substr(0, name.rfind('.')) + ".weight").description.shape;
    const double fan_in = double(element_count(shape)) / double(shape[0]);
    expect_uniform(name, tensor.values, 1 / std::sqrt(fan_in));
  }
}

TEST(InitialParameters, AreAFunctionOfTheSeed) {
  const Program program = unet_program(network(Initialization::kHo), 1);
  EXPECT_EQ(initial_parameters(program, 1), initial_parameters(program, 1));
  EXPECT_NE(initial_parameters(program, 1), initial_parameters(program, 2));
}

TEST(InitialParameters, DoNotDependOnTheBatch) {
  const UnetConfig config = network(Initialization::kPyTorch);
  EXPECT_EQ(initial_parameters(unet_program(config, 1), 1), initial_parameters(unet_program(config, 7), 1));
}

TEST(InitialParameters, TensorsAreIndependent) {
  std::set<float> first_values;
  const auto all = initial_tensors(Initialization::kPyTorch);
  size_t drawn = 0;
  for (const auto& [name, tensor] : all) {
    if (is_norm(name)) continue;
    ++drawn;
    first_values.insert(tensor.values[0]);
  }
  EXPECT_GT(drawn, 1u);
  EXPECT_EQ(first_values.size(), drawn) << "two tensors begin with the same value";
}

TEST(InitialParameters, PaddingIsZero) {
  const Program program = unet_program(network(Initialization::kPyTorch), 1);
  std::vector<float> arena = initial_parameters(program, 1);
  ASSERT_GT(program.parameter_elements(), program.parameter_count()) << "there is no padding";
  for_each_tensor(program, [&](const NamedTensor& tensor, int64_t offset) {
    std::fill_n(arena.begin() + offset, element_count(tensor.shape), 0.0f);
  });
  EXPECT_TRUE(std::all_of(arena.begin(), arena.end(), [](float value) { return value == 0; }));
}

}  // namespace
}  // namespace ddpm
