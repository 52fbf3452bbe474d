// The U-Net of diffusion models as operations of a Program. The configuration's fields are the keys of
// diffusers' UNet2DModel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/program/program.h"

namespace ddpm {

// How the time embedding enters a residual block.
enum class TimeModulation : uint8_t {
  kShift,       // added to the first convolution's output: Ho et al. 2020
  kScaleShift,  // scales and shifts the second normalization's output: Dhariwal & Nichol 2021
};

enum class Downsampling : uint8_t {
  kPadAfter,   // 3x3, stride 2, zeros on the right and bottom only: Ho et al. 2020
  kPadAround,  // 3x3, stride 2, padding 1: OpenAI's models
};

enum class Initialization : uint8_t {
  kHo,       // fan-average uniform; the last layer of each residual branch and of the network almost zero
  kPyTorch,  // PyTorch's defaults, as in DDIM's code and diffusers
};

// The features of the time that go into the embedding's two linear layers.
enum class TimeEmbeddingType : uint8_t {
  kPositional,  // sinusoids of the timestep: Ho et al. 2020
  kFourier,     // sinusoids of the noise level's logarithm at random frequencies: Song et al. 2021. The
                // noise level replaces the timestep, and the network's output is divided by it.
  kLearned,     // a trained vector for each timestep
};

// What a network is conditioned on beside the time; added to the time embedding.
enum class ClassEmbedding : uint8_t {
  kNone,
  kTable,     // labels (N, num_class_embeds): a linear map of one-hot or multi-hot rows; zeros: no condition
  kTimestep,  // labels (N): a second time, embedded like the first by layers of its own
  kIdentity,  // labels (N, time_width()): added as they are
};

struct UnetConfig {
  int image_size = 32;
  int in_channels = 3;
  int out_channels = 3;
  bool center_input_sample = false;  // the input lies in [0, 1]: the network sees 2x - 1
  std::vector<int> block_out_channels = {128, 256, 256, 256};  // by level, the finest first
  std::vector<bool> attention = {false, true, false, false};   // by level, on the way down
  std::vector<bool> attention_up = {};                         // by level; empty: as on the way down
  // By level, true where a residual block resamples instead of a convolution; empty: nowhere.
  std::vector<bool> resnet_downsampling = {};
  std::vector<bool> resnet_upsampling = {};
  bool mid_block = true;
  bool mid_attention = true;
  double mid_block_scale_factor = 1;  // divides the sums in the middle
  int layers_per_block = 2;
  int attention_head_dim = 0;  // 0: one head as wide as the channels
  int norm_num_groups = 32;
  // Of the attention in the middle alone. 0: norm_num_groups, or no normalization with kScaleShift.
  int attn_norm_num_groups = 0;
  double norm_eps = 1e-6;
  TimeEmbeddingType time_embedding_type = TimeEmbeddingType::kPositional;
  int time_embedding_dim = 0;   // 0: four times the first of block_out_channels
  int num_train_timesteps = 0;  // rows of the table, with kLearned
  TimeEmbeddingOrder time_embedding_order = TimeEmbeddingOrder::kSinCos;
  double freq_shift = 1;
  TimeModulation time_modulation = TimeModulation::kShift;
  ClassEmbedding class_embedding = ClassEmbedding::kNone;
  int num_class_embeds = 0;  // classes or attributes, with kTable
  Downsampling downsampling = Downsampling::kPadAfter;
  Initialization initialization = Initialization::kHo;

  int levels() const { return static_cast<int>(block_out_channels.size()); }
  int channels(int level) const { return block_out_channels.at(static_cast<size_t>(level)); }
  int time_width() const { return time_embedding_dim > 0 ? time_embedding_dim : 4 * channels(0); }
  bool attends_down(int level) const { return attention.at(static_cast<size_t>(level)); }
  bool attends_up(int level) const {
    return attention_up.empty() ? attends_down(level) : attention_up.at(static_cast<size_t>(level));
  }
  bool downsamples_by_resnet(int level) const {
    return !resnet_downsampling.empty() && resnet_downsampling.at(static_cast<size_t>(level));
  }
  bool upsamples_by_resnet(int level) const {
    return !resnet_upsampling.empty() && resnet_upsampling.at(static_cast<size_t>(level));
  }
  bool operator==(const UnetConfig&) const = default;
};

// InputError naming the first field that is out of range or contradicts another.
void validate(const UnetConfig& config);

// A network's place in a program.
struct UnetInstance {
  int batch = 1;
  BufferId x;  // (N, H, W, in_channels)
  BufferId t;  // (N)
  // See ClassEmbedding; absent: a state "labels" is added, zero at first.
  BufferId labels = kNoBuffer;
  double dropout = 0;         // in training
  BufferId step = kNoBuffer;  // the counter of training steps; needed for dropout
  uint64_t seed = 0;          // of dropout
};

// Adds the state "labels" that the network takes; kNoBuffer if it takes none.
BufferId add_labels(Program& program, const UnetConfig& config, int batch);

// Appends the network's forward operations and its parameters; returns its output (N, H, W, out_channels).
BufferId build_unet(Program& program, const UnetConfig& config, const UnetInstance& instance);

// A program of the network alone, with buffers "x", "t", "labels" if it is conditional, and the
// output "conv_out".
Program unet_program(const UnetConfig& config, int batch);

}  // namespace ddpm
