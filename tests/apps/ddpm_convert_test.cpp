// ddpm_convert and ddpm_forward as a user meets them, and what ddpm_train and ddpm_sample make of a diffusers
// folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "data/npy.h"
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

TEST_F(ConvertTest, ARunGoesToDiffusersAndBackUnchanged) {
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

TEST_F(ConvertTest, AnImportedRunIsResumed) {
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

TEST_F(ConvertTest, ForwardAnswersAlikeFromEitherFolder) {
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
  refused({"--from-diffusers", path("exported"), "--out", path("run")}, "holds a run already");
  refused({"--from-diffusers", path("nothing"), "--out", path("x")}, "nothing");
}

}  // namespace
}  // namespace ddpm
