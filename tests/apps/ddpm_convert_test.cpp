// ddpm_convert and ddpm_forward as a user meets them, and what ddpm_train and ddpm_sample make of a
// diffusers folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/npy.h"
#include "model/weights/safetensors.h"
#include "support/atomic_file.h"
#include "tests/apps/small_run.h"

namespace ddpm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ConvertTest : public SmallRun {
 protected:
  void SetUp() override {
    SmallRun::SetUp();
    ASSERT_EQ(run_program("ddpm_train", training("run", {"--steps", "3"})).exit_code, 0);
    ASSERT_EQ(convert({"--to-diffusers", path("exported"), "--checkpoint", path("run")}).exit_code, 0);
  }
  static ProgramResult convert(const std::vector<std::string>& arguments) {
    return run_program("ddpm_convert", arguments);
  }
  std::string weights(const std::string& folder) const {
    return read_file(path(folder) + "/unet/diffusion_pytorch_model.safetensors");
  }
  std::string averaged(const std::string& run) const {
    return read_file(path(run) + "/checkpoints/step-00000000/ema.safetensors");
  }
};

TEST_F(ConvertTest, RunRoundTripsThroughDiffusers) {
  EXPECT_TRUE(weights("exported") == read_file(path("run/checkpoints/step-00000003/ema.safetensors")));
  const ProgramResult back = convert({"--from-diffusers", path("exported"), "--out", path("back")});
  ASSERT_EQ(back.exit_code, 0) << back.err;
  EXPECT_THAT(back.out, AllOf(HasSubstr("parameters in"), HasSubstr("1000 timesteps"), HasSubstr("8x8")));
  EXPECT_TRUE(averaged("back") == weights("exported"));
  ASSERT_EQ(convert({"--to-diffusers", path("again"), "--checkpoint", path("back")}).exit_code, 0);
  for (const char* file : {"/unet/diffusion_pytorch_model.safetensors", "/unet/config.json",
                           "/scheduler/scheduler_config.json", "/model_index.json"})
    EXPECT_TRUE(read_file(path("again") + file) == read_file(path("exported") + file)) << file;
}

TEST_F(ConvertTest, RawWeightsAndBfloat16AreOptions) {
  ASSERT_EQ(convert({"--to-diffusers", path("raw"), "--checkpoint", path("run"), "--raw"}).exit_code, 0);
  EXPECT_TRUE(weights("raw") == read_file(path("run/checkpoints/step-00000003/model.safetensors")));
  EXPECT_FALSE(weights("raw") == weights("exported"));
  ASSERT_EQ(
      convert({"--to-diffusers", path("half"), "--checkpoint", path("run"), "--dtype", "bf16"}).exit_code, 0);
  EXPECT_THAT(weights("half"), HasSubstr("BF16"));
}

TEST_F(ConvertTest, ImportedRunResumes) {
  ASSERT_EQ(convert({"--from-diffusers", path("exported"), "--out", path("back")}).exit_code, 0);
  const std::vector<std::string> resume = {"--data",   data(),           "--out", path("back"),
                                           "--resume", "--steps",        "2",     "--batch",
                                           "4",        "--sample-every", "0"};
  const ProgramResult result = run_program("ddpm_train", resume);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(std::filesystem::exists(path("back/checkpoints/step-00000002/state.json")));
}

TEST_F(ConvertTest, TrainingStartsFromARunOrADiffusersFolder) {
  for (const char* source : {"run", "exported"}) {
    const std::string out = std::string("tuned-") + source;
    const ProgramResult result = run_program(
        "ddpm_train",
        {"--data", data(), "--out", path(out), "--init-from", path(source), "--steps", "0", "--batch", "4"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(averaged(out) == weights("exported")) << source;
    EXPECT_TRUE(read_file(path(out) + "/checkpoints/step-00000000/model.safetensors") == weights("exported"));
  }
  const ProgramResult other =
      run_program("ddpm_train", {"--data", data(), "--out", path("other"), "--init-from", path("exported"),
                                 "--steps", "0", "--batch", "4", "--layers-per-block", "2"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, AllOf(HasSubstr("missing"), HasSubstr("down_blocks.0.resnets.1.conv1.weight")));
}

TEST_F(ConvertTest, SamplesFromADiffusersFolderAndFromGivenNoise) {
  const std::vector<int64_t> shape{3, 3, 8, 8};
  std::vector<float> noise(3 * 3 * 8 * 8);
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<float>(i % 17) / 8 - 1;
  write_npy<float>(path("noise.npy"), noise, shape);
  const auto sample = [&](const char* model, const char* batch, const char* out) {
    const ProgramResult result = run_program(
        "ddpm_sample", {"--checkpoint", path(model), "--count", "3", "--batch", batch, "--steps", "4",
                        "--seed", "3", "--initial-noise", path("noise.npy"), "--float-npy", path(out)});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return read_npy<float>(path(out));
  };
  const auto of_run = sample("run", "3", "a.npy"), of_folder = sample("exported", "2", "b.npy");
  EXPECT_EQ(of_run.shape, shape);
  EXPECT_EQ(of_run.values, of_folder.values);

  write_npy<float>(path("noise.npy"), noise, std::vector<int64_t>{3, 8, 8, 3});
  const ProgramResult wrong =
      run_program("ddpm_sample", {"--checkpoint", path("run"), "--count", "3", "--initial-noise",
                                  path("noise.npy"), "--grid", path("grid.png")});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("(3, 3, 8, 8)"));
}

TEST_F(ConvertTest, ForwardMatchesFromEitherFolder) {
  std::vector<float> input(2 * 3 * 8 * 8, 0.5f);
  input[7] = -1;
  write_npy<float>(path("x.npy"), input, std::vector<int64_t>{2, 3, 8, 8});
  write_npy<int64_t>(path("t.npy"), std::vector<int64_t>{10, 900}, std::vector<int64_t>{2});
  std::vector<std::vector<float>> outputs;
  for (const char* model : {"run", "exported"}) {
    const ProgramResult result =
        run_program("ddpm_forward", {"--checkpoint", path(model), "--input", path("x.npy"), "--timesteps",
                                     path("t.npy"), "--output", path("y.npy")});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    outputs.push_back(read_npy<float>(path("y.npy")).values);
  }
  EXPECT_EQ(outputs[0], outputs[1]);
  EXPECT_NE(outputs[0], std::vector<float>(outputs[0].size(), 0.0f));

  write_npy<int64_t>(path("t.npy"), std::vector<int64_t>{10}, std::vector<int64_t>{1});
  const ProgramResult wrong =
      run_program("ddpm_forward", {"--checkpoint", path("run"), "--input", path("x.npy"), "--timesteps",
                                   path("t.npy"), "--output", path("y.npy")});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, AllOf(HasSubstr("t.npy"), HasSubstr("(2)")));
}

// Against differences of the error itself, with one weight of the exported network moved up and down.
TEST_F(ConvertTest, ForwardWritesTheGradientOfTheErrorUnderDiffusersNames) {
  const std::vector<int64_t> shape{2, 3, 8, 8};
  std::vector<float> input(2 * 3 * 8 * 8), target(input.size());
  for (size_t i = 0; i < input.size(); ++i) {
    input[i] = static_cast<float>(i % 17) / 8 - 1;
    target[i] = static_cast<float>(i % 11) / 5 - 1;
  }
  write_npy<float>(path("x.npy"), input, shape);
  write_npy<float>(path("target.npy"), target, shape);
  write_npy<int64_t>(path("t.npy"), std::vector<int64_t>{10, 900}, std::vector<int64_t>{2});
  const auto forward = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--checkpoint", path("exported"),  "--device",    "cpu",
                                          "--input",      path("x.npy"),     "--timesteps", path("t.npy"),
                                          "--target",     path("target.npy")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program("ddpm_forward", arguments);
  };
  const auto error_of = [&](const ProgramResult& result) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const std::string before = "mean squared error ";
    const size_t at = result.out.find(before);
    EXPECT_NE(at, std::string::npos) << result.out;
    return at == std::string::npos ? 0.0 : std::stod(result.out.substr(at + before.size()));
  };
  const ProgramResult result =
      forward({"--gradients", path("gradients.safetensors"), "--output", path("y.npy")});
  const double error = error_of(result);

  const std::vector<float> output = read_npy<float>(path("y.npy")).values;
  double expected = 0;
  for (size_t i = 0; i < output.size(); ++i) expected += std::pow(double{output[i]} - target[i], 2);
  EXPECT_NEAR(error, expected / static_cast<double>(output.size()), 1e-7);  // printed with 9 digits

  const std::string weights_file = path("exported/unet/diffusion_pytorch_model.safetensors");
  const SafetensorsFile gradients(path("gradients.safetensors"));
  std::map<std::string, std::vector<float>> weights;
  std::vector<SafetensorsEntry> entries;
  {
    const SafetensorsFile file(weights_file);
    ASSERT_EQ(file.tensors().size(), gradients.tensors().size());
    for (const auto& [name, view] : file.tensors()) {
      ASSERT_TRUE(gradients.contains(name)) << name;
      EXPECT_EQ(gradients.tensor(name).shape, view.shape) << name;
      weights[name] = file.values<float>(name);
      entries.push_back({.name = name, .type = SafetensorsType::kF32, .shape = view.shape, .bytes = {}});
    }
  }
  const auto write_weights = [&] {
    for (SafetensorsEntry& entry : entries) entry.bytes = as_byte_span<float>(weights[entry.name]);
    write_safetensors(weights_file, entries);
  };
  // A filter (whose layout is not ours), a linear layer, a normalization, a bias; the element with the
  // largest gradient.
  for (const char* name : {"down_blocks.0.resnets.0.conv1.weight", "time_embedding.linear_1.weight",
                           "mid_block.resnets.0.norm2.weight", "conv_out.bias"}) {
    const std::vector<float> gradient = gradients.values<float>(name);
    const auto largest = std::max_element(gradient.begin(), gradient.end(),
                                          [](float a, float b) { return std::abs(a) < std::abs(b); });
    float& weight = weights[name][static_cast<size_t>(largest - gradient.begin())];
    const float before = weight;
    const float up = before + 1.0f / 64, down = before - 1.0f / 64;
    weight = up, write_weights();
    const double above = error_of(forward({}));
    weight = down, write_weights();
    const double below = error_of(forward({}));
    weight = before;
    // The error is some 1, known to 1e-7, over a step of 1/32: 6e-6 each; the rest is the curvature over
    // the step.
    EXPECT_NEAR((above - below) / (double{up} - down), *largest, 0.02 * std::abs(*largest) + 2e-5) << name;
  }

  EXPECT_EQ(forward({"--gradients", path("a.safetensors"), "--target", path("t.npy")}).exit_code, 2);
  write_npy<float>(path("target.npy"), target, std::vector<int64_t>{2, 3, 4, 16});
  const ProgramResult wrong = forward({"--gradients", path("a.safetensors")});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, AllOf(HasSubstr("target.npy"), HasSubstr("(2, 3, 8, 8)")));
}

TEST_F(ConvertTest, ForwardRefusesMissingTargetsAndOutputs) {
  const std::vector<std::string> arguments = {"--checkpoint", path("exported"), "--input",
                                              path("x.npy"),  "--timesteps",    path("t.npy")};
  const ProgramResult nothing = run_program("ddpm_forward", arguments);
  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_THAT(nothing.err, AllOf(HasSubstr("--output"), HasSubstr("--target")));
  std::vector<std::string> alone = arguments;
  alone.insert(alone.end(), {"--gradients", path("g.safetensors")});
  const ProgramResult without_target = run_program("ddpm_forward", alone);
  EXPECT_EQ(without_target.exit_code, 2);
  EXPECT_THAT(without_target.err, HasSubstr("--target"));
}

TEST_F(ConvertTest, RefusesInOneSentence) {
  const auto refused = [](const std::vector<std::string>& arguments, const std::string& reason) {
    const ProgramResult result = convert(arguments);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr(reason));
  };
  refused({}, "--to-diffusers");
  refused({"--to-diffusers", path("x")}, "--checkpoint");
  refused({"--to-diffusers", path("exported"), "--checkpoint", path("run")}, "exported");
  refused({"--to-diffusers", path("x"), "--checkpoint", path("nothing")}, "nothing");
  refused({"--from-diffusers", path("exported"), "--out", path("run")}, "already holds a run");
  refused({"--from-diffusers", path("nothing"), "--out", path("x")}, "nothing");
}

}  // namespace
}  // namespace ddpm
