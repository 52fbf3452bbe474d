// diffusers folders in every layout that is read, as written here, and with everything that can be wrong
// with them.
#include "model/weights/diffusers_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/training/trained_model.h"
#include "model/weights/old_tensor_names.h"
#include "model/weights/parameters.h"
#include "support/atomic_file.h"
#include "support/error.h"
#include "tests/model/expect_input_error.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kWeights = "diffusion_pytorch_model.safetensors";

DiffusersPipeline small_pipeline() {
  DiffusersPipeline pipeline;
  UnetConfig& network = pipeline.unet.network;
  network.image_size = 8;
  network.block_out_channels = {4, 8};
  network.attention = {false, true};
  network.layers_per_block = 1;
  network.norm_num_groups = 2;
  network.initialization = Initialization::kPyTorch;
  return pipeline;
}

// A tensor that owns its memory.
struct StoredTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};
using StoredTensors = std::map<std::string, StoredTensor>;

class DiffusersFolder : public ::testing::Test {
 protected:
  DiffusersFolder()
      : program_(unet_program(pipeline_.unet.network, 1)), weights_(initial_parameters(program_, 11)) {}

  fs::path path(const std::string& name) const { return folder_.path() / name; }
  void write(const fs::path& folder, StoredType type = StoredType::kFloat32) const {
    write_diffusers_pipeline(folder, pipeline_, program_, weights_, type);
  }
  std::vector<float> read(const fs::path& folder) const {
    return read_diffusers_weights(folder, pipeline_.unet.network, program_);
  }

  // The weights by diffusers' names.
  StoredTensors tensors() const {
    const fs::path whole = path("whole");
    if (!fs::exists(whole)) write(whole);
    const SafetensorsFile file(whole / "unet" / kWeights);
    StoredTensors all;
    for (const auto& [name, view] : file.tensors()) all[name] = {view.shape, file.values<float>(name)};
    return all;
  }
  static void store(const fs::path& file, const StoredTensors& tensors) {
    std::vector<SafetensorsEntry> entries;
    for (const auto& [name, tensor] : tensors)
      entries.push_back({.name = name,
                         .type = SafetensorsType::kF32,
                         .shape = tensor.shape,
                         .bytes = as_byte_span<float>(tensor.values)});
    write_safetensors(file, entries);
  }
  // A flat folder with these tensors.
  fs::path flat(const StoredTensors& tensors) const {
    const fs::path folder = path("flat");
    create_folder(folder);
    write_file_atomically(folder / "config.json", unet_config_json(pipeline_.unet));
    write_file_atomically(folder / "scheduler_config.json", scheduler_config_json(pipeline_.scheduler));
    store(folder / kWeights, tensors);
    return folder;
  }

  TemporaryFolder folder_;
  DiffusersPipeline pipeline_ = small_pipeline();
  Program program_;
  std::vector<float> weights_;
};

TEST_F(DiffusersFolder, RoundTrips) {
  const fs::path folder = path("exported");
  write(folder);
  EXPECT_TRUE(is_diffusers_folder(folder));
  EXPECT_EQ(read_diffusers_pipeline(folder).unet.network, pipeline_.unet.network);
  EXPECT_EQ(read(folder), weights_);
}

TEST_F(DiffusersFolder, Bfloat16KeepsEightBitsOfEachWeight) {
  write(path("half"), StoredType::kBfloat16);
  const std::vector<float> rounded = read(path("half"));
  // Half a unit in the last of 8 bits, rounded to the nearest.
  for (size_t i = 0; i < weights_.size(); ++i)
    EXPECT_LE(std::abs(rounded[i] - weights_[i]), std::abs(weights_[i]) * 0x1p-8f) << i;
  EXPECT_NE(rounded, weights_);
  EXPECT_LT(fs::file_size(path("half") / "unet" / kWeights), weights_.size() * 3);
}

TEST_F(DiffusersFolder, NothingIsOverwritten) {
  create_folder(path("full"));
  write_file_atomically(path("full") / "note.txt", "mine");
  expect_input_error([&] { write(path("full")); }, HasSubstr("full"));
  EXPECT_EQ(std::distance(fs::directory_iterator(path("full")), {}), 1);
}

TEST_F(DiffusersFolder, MayBeFlat) {
  EXPECT_EQ(read(flat(tensors())), weights_);
  EXPECT_EQ(open_trained_model(path("flat")).config.network, pipeline_.unet.network);
}

TEST_F(DiffusersFolder, WeightsMayBeSharded) {
  const fs::path folder = flat({});
  fs::remove(folder / kWeights);
  StoredTensors first, second;
  std::string map;
  for (const auto& [name, tensor] : tensors()) {
    const bool is_first = first.size() <= second.size();
    (is_first ? first : second)[name] = tensor;
    map += (map.empty() ? "" : ",") + fmt::format("\"{}\":\"part-{}.safetensors\"", name, is_first ? 1 : 2);
  }
  store(folder / "part-1.safetensors", first);
  store(folder / "part-2.safetensors", second);
  const fs::path index = folder / (std::string(kWeights) + ".index.json");
  write_file_atomically(index, "{\"metadata\":{},\"weight_map\":{" + map + "}}");
  EXPECT_EQ(read(folder), weights_);

  second["conv_in.weight"] = first.begin()->second;
  second[first.begin()->first] = first.begin()->second;
  store(folder / "part-2.safetensors", second);
  expect_input_error([&] { read(folder); }, HasSubstr("twice"));
  for (const char* bad :
       {"{\"weight_map\":{\"a\":\"../b.safetensors\"}}", "{\"weight_map\":{\"a\":1}}", "{}", "[", ""}) {
    write_file_atomically(index, bad);
    expect_input_error([&] { read(folder); }, HasSubstr("index.json"));
  }
}

TEST_F(DiffusersFolder, ReadsOlderNamesOfAttention) {
  StoredTensors old;
  for (auto& [name, tensor] : tensors()) {
    std::string renamed = name;
    for (const auto& [present, before] : {std::pair{".to_q.", ".query."},
                                          {".to_k.", ".key."},
                                          {".to_v.", ".value."},
                                          {".to_out.0.", ".proj_attn."}})
      if (const size_t at = renamed.find(present); at != std::string::npos)
        renamed.replace(at, std::string(present).size(), before);
    old[renamed] = tensor;
  }
  EXPECT_TRUE(old.contains("mid_block.attentions.0.proj_attn.weight"));
  EXPECT_EQ(read(flat(old)), weights_);
}

TEST(TensorNames, ReadsNamesOfDdimsCode) {
  const std::map<std::string, std::string> present = {
      {"temb.dense.0.weight", "time_embedding.linear_1.weight"},
      {"temb.dense.1.bias", "time_embedding.linear_2.bias"},
      {"conv_in.weight", "conv_in.weight"},
      {"down.0.block.1.temb_proj.weight", "down_blocks.0.resnets.1.time_emb_proj.weight"},
      {"down.1.block.0.nin_shortcut.bias", "down_blocks.1.resnets.0.conv_shortcut.bias"},
      {"down.1.block.0.norm1.bias", "down_blocks.1.resnets.0.norm1.bias"},
      {"down.2.attn.1.q.weight", "down_blocks.2.attentions.1.to_q.weight"},
      {"down.0.downsample.conv.weight", "down_blocks.0.downsamplers.0.conv.weight"},
      {"mid.block_1.conv1.weight", "mid_block.resnets.0.conv1.weight"},
      {"mid.attn_1.proj_out.weight", "mid_block.attentions.0.to_out.0.weight"},
      {"mid.attn_1.norm.weight", "mid_block.attentions.0.group_norm.weight"},
      {"mid.block_2.temb_proj.bias", "mid_block.resnets.1.time_emb_proj.bias"},
      {"up.0.block.2.conv2.weight", "up_blocks.3.resnets.2.conv2.weight"},
      {"up.3.upsample.conv.bias", "up_blocks.0.upsamplers.0.conv.bias"},
      {"up.1.attn.0.v.bias", "up_blocks.2.attentions.0.to_v.bias"},
      {"norm_out.weight", "conv_norm_out.weight"},
      {"conv_out.bias", "conv_out.bias"}};
  for (const auto& [old, name] : present) EXPECT_EQ(present_tensor_name(old, 4), name);
}

TEST(TensorNames, KeepsOtherNames) {
  for (const char* name :
       {"", ".", "up", "up.x.block.0.q.w", "down.0.block", "mid.block_1", "temb.dense.2.weight",
        "down_blocks.0.attentions.0.to_q.weight", "attentions.0", "attentions"})
    EXPECT_EQ(present_tensor_name(name, 2), name);
}

// 1x1 convolutions in DDIM's code hold the same numbers as the matrices that took their place.
TEST_F(DiffusersFolder, IgnoresTrailingOnesOfAShape) {
  StoredTensors convolutions = tensors();
  int reshaped = 0;
  for (auto& [name, tensor] : convolutions)
    if (name.find("attentions") != std::string::npos && tensor.shape.size() == 2) {
      ++reshaped;
      tensor.shape.push_back(1);
      tensor.shape.push_back(1);
    }
  ASSERT_GT(reshaped, 0);
  EXPECT_EQ(read(flat(convolutions)), weights_);
}

TEST_F(DiffusersFolder, ListsAllMissingUnknownAndMisshapenTensors) {
  StoredTensors wrong = tensors();
  wrong.erase("conv_in.bias");
  wrong.erase("conv_out.weight");
  wrong["extra.one"] = {{1}, {0}};
  wrong["extra.two"] = {{1}, {0}};
  wrong["conv_norm_out.weight"] = {{2, 2}, {0, 0, 0, 0}};
  wrong["conv_norm_out.bias"] = {{5}, {0, 0, 0, 0, 0}};
  expect_input_error([&] { read(flat(wrong)); },
                     AllOf(HasSubstr("missing (2): conv_in.bias, conv_out.weight"),
                           HasSubstr("unknown (2): extra.one, extra.two"), HasSubstr("misshapen (2)"),
                           HasSubstr("conv_norm_out.weight is [2, 2] instead of [4]"),
                           HasSubstr("conv_norm_out.bias is [5] instead of [4]")));
}

TEST_F(DiffusersFolder, RefusesPickleAndSaysHowToConvertIt) {
  const fs::path folder = flat(tensors());
  fs::rename(folder / kWeights, folder / "diffusion_pytorch_model.bin");
  expect_input_error([&] { read(folder); }, AllOf(HasSubstr("diffusion_pytorch_model.bin"),
                                                  HasSubstr("python3 -c"), HasSubstr("save_file")));
  fs::remove(folder / "diffusion_pytorch_model.bin");
  expect_input_error([&] { read(folder); }, HasSubstr(kWeights));
}

TEST_F(DiffusersFolder, RefusesMissingScheduler) {
  const fs::path folder = flat(tensors());
  fs::remove(folder / "scheduler_config.json");
  expect_input_error([&] { open_trained_model(folder); }, HasSubstr("scheduler_config.json"));
}

TEST_F(DiffusersFolder, RefusesToTrainNetworksThatPredictAVariance) {
  pipeline_.unet.network.out_channels = 6;
  expect_input_error([&] { to_train_config(pipeline_); }, HasSubstr("out_channels = 6"));
}

TEST_F(DiffusersFolder, RefusesToTrainNetworksOfNoiseLevels) {
  pipeline_.unet.network.time_embedding_type = TimeEmbeddingType::kFourier;
  expect_input_error([&] { to_train_config(pipeline_); }, HasSubstr("fourier"));
}

// What a run would need to go on: everything of the pipeline survives its settings' way through text.
TEST_F(DiffusersFolder, BecomesARunAndAPipelineAgain) {
  pipeline_.unet.dropout = 0.125;
  pipeline_.unet.network.attention_up = {true, false};
  pipeline_.unet.network.resnet_upsampling = {false, true};
  pipeline_.unet.network.time_modulation = TimeModulation::kScaleShift;
  pipeline_.unet.network.class_embedding = ClassEmbedding::kTable;
  pipeline_.unet.network.num_class_embeds = 3;
  pipeline_.scheduler.schedule = {.timesteps = 5, .trained_betas = {0.1, 0.2, 0.3, 0.4, 0.5}};
  pipeline_.scheduler.sampler.variance_type = VarianceType::kFixedSmall;
  pipeline_.scheduler.sampler.clip_sample = false;
  pipeline_.scheduler.sampler.prediction = Prediction::kVelocity;
  const TrainConfig config = make_train_config(to_settings(to_train_config(pipeline_)));
  const DiffusersPipeline again = to_diffusers_pipeline(config);
  EXPECT_EQ(unet_config_json(again.unet), unet_config_json(pipeline_.unet));
  EXPECT_EQ(scheduler_config_json(again.scheduler), scheduler_config_json(pipeline_.scheduler));
}

}  // namespace
}  // namespace ddpm
