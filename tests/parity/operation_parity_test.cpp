// Single operations against PyTorch and diffusers, in double.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/parity/fixtures.h"

namespace ddpm::parity {
namespace {

using Values = std::vector<double>;

// Both sides compute in double; two orders of summing a few hundred terms of order one differ by less.
constexpr double kBound = 1e-12;

nlohmann::json cases() { return read_json(fixtures() / "operations/operations.json").at("cases"); }

// One case of operations.json: its options and its tensors in our layout.
class Case {
 public:
  explicit Case(std::string name)
      : name_(std::move(name)), file_(fixtures() / "operations/operations.safetensors") {
    for (const nlohmann::json& one : cases())
      if (one.at("name") == name_) options = one;
  }

  int extent(const std::string& tensor, size_t axis) const {
    return int(file_.tensor(path(tensor)).shape.at(axis));
  }
  bool has(const std::string& tensor) const { return file_.contains(path(tensor)); }
  Values values(const std::string& tensor) const { return read_channels_last(file_, path(tensor)); }
  const SafetensorsFile& file() const { return file_; }

  void expect(const std::string& tensor, const Values& actual) const {
    EXPECT_LT(relative_error(actual, values(tensor)), kBound) << tensor;
  }

  nlohmann::json options;

 private:
  std::string path(const std::string& tensor) const { return name_ + "/" + tensor; }
  std::string name_;
  SafetensorsFile file_;
};

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  return info.param.substr(info.param.find('/') + 1);
}

std::vector<std::string> names_of(const std::string& operation) {
  std::vector<std::string> names;
  for (const nlohmann::json& one : cases())
    if (one.at("operation") == operation) names.push_back(one.at("name"));
  return names;
}

Values zeros(size_t count) { return Values(count, 0.0); }

class Conv2dParity : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Cases, Conv2dParity, ::testing::ValuesIn(names_of("conv2d")), test_name);

TEST_P(Conv2dParity, OutputAndGradients) {
  const Case fixture(GetParam());
  const std::vector<int> padding = fixture.options.at("padding_left_right_top_bottom");
  const Values x = fixture.values("input"), weight = fixture.values("weight"), bias = fixture.values("bias"),
               dy = fixture.values("probe");
  Values y(dy.size()), dx(x.size()), dweight = zeros(weight.size()), dbias = zeros(bias.size());
  const int n = fixture.extent("input", 0), c = fixture.extent("input", 1), h = fixture.extent("input", 2),
            w = fixture.extent("input", 3), k = fixture.extent("weight", 0);
  if (fixture.options.at("nearest_upsample")) {
    const UpsampleConv2dShape shape{.n = n, .h = h, .w = w, .c = c, .k = k};
    reference::upsample_conv2d<double>(shape, {x.data(), weight.data(), bias.data(), nullptr, y.data()});
    reference::upsample_conv2d_backward_data<double>(shape, {dy.data(), weight.data(), nullptr, dx.data()});
    reference::upsample_conv2d_backward_weight<double>(shape,
                                                       {x.data(), dy.data(), dweight.data(), dbias.data()});
  } else {
    const Conv2dShape shape{.n = n,
                            .h = h,
                            .w = w,
                            .c = c,
                            .k = k,
                            .filter = fixture.extent("weight", 2),
                            .stride = fixture.options.at("stride"),
                            .pad_before = padding[0],
                            .pad_after = padding[1],
                            .weight_channels = c};
    reference::conv2d<double>(shape, {x.data(), weight.data(), bias.data(), nullptr, y.data()});
    reference::conv2d_backward_data<double>(shape, {dy.data(), weight.data(), nullptr, dx.data()});
    reference::conv2d_backward_weight<double>(shape, {x.data(), dy.data(), dweight.data(), dbias.data()});
  }
  fixture.expect("output", y);
  fixture.expect("grad.input", dx);
  fixture.expect("grad.weight", dweight);
  fixture.expect("grad.bias", dbias);
}

class GroupNormParity : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Cases, GroupNormParity, ::testing::ValuesIn(names_of("group_norm")), test_name);

TEST_P(GroupNormParity, OutputAndGradients) {
  const Case fixture(GetParam());
  const int n = fixture.extent("input", 0), c = fixture.extent("input", 1);
  const bool scale_shift = fixture.has("scale");
  const GroupNormParams shape{
      .n = n,
      .pixels = fixture.extent("input", 2) * fixture.extent("input", 3),
      .x_channels = c,
      .groups = fixture.options.at("groups"),
      .eps = fixture.options.at("eps"),
      .activation = fixture.options.at("activation") == "silu" ? Activation::kSilu : Activation::kNone,
      .film_stride = scale_shift ? 2 * c : 0};
  const Values x = fixture.values("input"), gamma = fixture.values("weight"), beta = fixture.values("bias"),
               dy = fixture.values("probe");
  Values film, dfilm, expected_dfilm;  // (N, 2C): [scale, shift]
  const auto side_by_side = [&](const Values& scale, const Values& shift) {
    Values both;
    for (int i = 0; i < n; ++i)
      for (const Values* half : {&scale, &shift})
        both.insert(both.end(), half->begin() + i * c, half->begin() + (i + 1) * c);
    return both;
  };
  if (scale_shift) {
    film = side_by_side(fixture.values("scale"), fixture.values("shift"));
    expected_dfilm = side_by_side(fixture.values("grad.scale"), fixture.values("grad.shift"));
    dfilm.resize(film.size());
  }
  const double* film_or_null = scale_shift ? film.data() : nullptr;
  Values y(x.size()), mean(size_t(n) * shape.groups), rstd(mean.size());
  reference::group_norm<double>(shape, {.x = x.data(),
                                        .skip = nullptr,
                                        .shift = nullptr,
                                        .bias = nullptr,
                                        .gamma = gamma.data(),
                                        .beta = beta.data(),
                                        .film = film_or_null,
                                        .y = y.data(),
                                        .mean = mean.data(),
                                        .rstd = rstd.data(),
                                        .dropout = {}});
  Values dx(x.size()), dgamma = zeros(gamma.size()), dbeta = zeros(beta.size());
  reference::group_norm_backward<double>(shape, {.dy = dy.data(),
                                                 .x = x.data(),
                                                 .skip = nullptr,
                                                 .shift = nullptr,
                                                 .bias = nullptr,
                                                 .gamma = gamma.data(),
                                                 .beta = beta.data(),
                                                 .film = film_or_null,
                                                 .mean = mean.data(),
                                                 .rstd = rstd.data(),
                                                 .dx_addends = {nullptr, nullptr},
                                                 .dskip_addends = {nullptr, nullptr},
                                                 .dx = dx.data(),
                                                 .dskip = nullptr,
                                                 .dshift = nullptr,
                                                 .dbias = nullptr,
                                                 .dgamma = dgamma.data(),
                                                 .dbeta = dbeta.data(),
                                                 .dfilm = scale_shift ? dfilm.data() : nullptr,
                                                 .dropout = {}});
  fixture.expect("output", y);
  fixture.expect("grad.input", dx);
  fixture.expect("grad.weight", dgamma);
  fixture.expect("grad.bias", dbeta);
  if (scale_shift) {
    EXPECT_LT(relative_error(dfilm, expected_dfilm), kBound);
  }
}

class AttentionParity : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Cases, AttentionParity, ::testing::ValuesIn(names_of("attention")), test_name);

TEST_P(AttentionParity, OutputAndGradients) {
  const Case fixture(GetParam());
  const int heads = fixture.options.at("heads"), channels = fixture.extent("query", 2);
  const AttentionShape shape{.n = fixture.extent("query", 0),
                             .length = fixture.extent("query", 1),
                             .heads = heads,
                             .head_dim = channels / heads};
  // q, k and v of each pixel are contiguous.
  const auto side_by_side = [&](const std::string& prefix) {
    const Values q = fixture.values(prefix + "query"), k = fixture.values(prefix + "key"),
                 v = fixture.values(prefix + "value");
    Values all;
    for (size_t pixel = 0; pixel < q.size(); pixel += size_t(channels))
      for (const Values* part : {&q, &k, &v})
        all.insert(all.end(), &(*part)[pixel], &(*part)[pixel] + channels);
    return all;
  };
  const Values qkv = side_by_side(""), dy = fixture.values("probe");
  Values probabilities(size_t(shape.score_elements())), dscores(probabilities.size()), y(dy.size()),
      dqkv(qkv.size());
  reference::attention<double>(shape, {qkv.data(), probabilities.data(), y.data()});
  reference::attention_backward<double>(
      shape, {dy.data(), qkv.data(), probabilities.data(), dscores.data(), dqkv.data()});
  fixture.expect("output", y);
  EXPECT_LT(relative_error(dqkv, side_by_side("grad.")), kBound);
}

class LinearParity : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Cases, LinearParity, ::testing::ValuesIn(names_of("linear")), test_name);

TEST_P(LinearParity, OutputAndGradients) {
  const Case fixture(GetParam());
  const LinearParams shape{
      .n = fixture.extent("input", 0),
      .in = fixture.extent("input", 1),
      .out = fixture.extent("weight", 0),
      .input_activation = fixture.options.at("silu_before") ? Activation::kSilu : Activation::kNone};
  const Values x = fixture.values("input"), weight = fixture.values("weight"), bias = fixture.values("bias"),
               dy = fixture.values("probe");
  Values y(dy.size()), dx(x.size()), dweight = zeros(weight.size()), dbias = zeros(bias.size());
  reference::linear<double>(shape, {x.data(), weight.data(), bias.data(), nullptr, y.data()});
  reference::linear_backward<double>(
      shape, {dy.data(), x.data(), weight.data(), dx.data(), dweight.data(), dbias.data()});
  fixture.expect("output", y);
  fixture.expect("grad.input", dx);
  fixture.expect("grad.weight", dweight);
  fixture.expect("grad.bias", dbias);
}

class TimestepEmbeddingParity : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Cases, TimestepEmbeddingParity, ::testing::ValuesIn(names_of("timestep_embedding")),
                         test_name);

TEST_P(TimestepEmbeddingParity, Output) {
  const Case all("timestep_embedding"), fixture(GetParam());
  Values t;
  for (const int64_t step : all.file().values<int64_t>("timestep_embedding/timesteps"))
    t.push_back(double(step));
  const Values expected = all.file().values<double>(GetParam());
  const TimeEmbeddingParams shape{.n = int(t.size()),
                                  .channels = fixture.options.at("embedding_dim"),
                                  .order = fixture.options.at("flip_sin_to_cos")
                                               ? TimeEmbeddingOrder::kCosSin
                                               : TimeEmbeddingOrder::kSinCos,
                                  .frequency_shift = fixture.options.at("downscale_freq_shift")};
  Values y(expected.size());
  reference::time_embedding<double>(shape, {t.data(), nullptr, y.data()});
  EXPECT_LT(relative_error(y, expected), kBound);
}

TEST(FourierEmbeddingParity, Output) {
  const Case fixture("fourier");
  const Values sigmas = fixture.values("sigmas"), frequencies = fixture.values("weight");
  const TimeEmbeddingParams shape{.n = int(sigmas.size()),
                                  .channels = 2 * int(frequencies.size()),
                                  .log_time = fixture.options.at("log")};
  Values y(sigmas.size() * 2 * frequencies.size());
  reference::time_embedding<double>(shape, {sigmas.data(), frequencies.data(), y.data()});
  fixture.expect("output", y);
}

}  // namespace
}  // namespace ddpm::parity
