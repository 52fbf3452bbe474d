// The layers of a U-Net: each call appends one operation of a Program with its buffers and parameters, which
// are named like diffusers' tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/unet/unet.h"

namespace ddpm {

// An image-shaped activation.
struct Feature {
  BufferId buffer = kNoBuffer;
  int size = 0;  // H = W
  int channels = 0;

  int pixels() const { return size * size; }
};

// A place in the matrix of all blocks' time projections.
struct TimeSlice {
  BufferId matrix = kNoBuffer;
  int stride = 0;
  int column = 0;
};

enum class LayerBias : uint8_t {
  kAdded,
  kElsewhere,  // the next operation adds it
};

struct ConvOptions {
  bool almost_zero = false;  // Ho et al.'s initialization of a branch's last layer
  LayerBias bias = LayerBias::kAdded;
  std::string activation_name = {};  // of the output's buffer; empty: the layer's
};

struct NormOptions {
  int groups = 0;  // 0: norm_num_groups
  Activation activation = Activation::kNone;
  BufferId bias = kNoBuffer;
  TimeSlice shift{};
  TimeSlice film{};
  double dropout = 0;
};

struct LinearOptions {
  Activation input_activation = Activation::kNone;
  BufferId residual = kNoBuffer;
};

class UnetLayers {
 public:
  UnetLayers(Program& program, const UnetConfig& config, const UnetInstance& instance)
      : program_(program), config_(config), instance_(instance) {}

  const UnetConfig& config() const { return config_; }
  const UnetInstance& instance() const { return instance_; }

  // ---- operations ----

  // 3x3, padding 1.
  Feature conv(const std::string& name, Feature x, int out, const ConvOptions& options = {});
  // The same with parameters made before.
  struct Conv {
    BufferId weight;
    BufferId bias = kNoBuffer;
    BufferId residual = kNoBuffer;
    std::string activation_name = {};
  };
  Feature conv(const std::string& name, Feature x, int out, const Conv& layer);
  // 1x1 over x's channels, which are channels channel_begin ... of the weights' in-channels.
  struct Pointwise {
    BufferId weight;
    int weight_channels;
    int channel_begin = 0;
    BufferId bias = kNoBuffer;
    BufferId residual = kNoBuffer;
  };
  Feature pointwise(const std::string& name, Feature x, int out, const Pointwise& layer);
  // 3x3, stride 2.
  Feature downsample_conv(const std::string& name, Feature x);
  // Nearest upsampling, then 3x3.
  Feature upsample_conv(const std::string& name, Feature x, LayerBias bias = LayerBias::kAdded);
  Feature average_pool(const std::string& name, Feature x);
  Feature upsample_nearest(const std::string& name, Feature x);
  // (scale x + offset) / divisor; divisor (N) may be absent.
  Feature rescale(const std::string& name, Feature x, double scale, double offset,
                  BufferId divisor = kNoBuffer);
  // Over the concatenation [x, skip]; skip may be absent.
  Feature group_norm(const std::string& name, Feature x, Feature skip, const NormOptions& options = {});
  BufferId linear(const std::string& name, BufferId x, int in, int out, const LinearOptions& options = {});
  // The table's rows for whole numbers `index` (N); the table is the tensor NAME.weight (rows, columns).
  BufferId embedding(const std::string& name, BufferId index, int rows, int columns);
  // x (N, rows) times the same table, + residual.
  BufferId embedding_product(const std::string& name, BufferId x, int rows, int columns, BufferId residual);
  BufferId add(const std::string& name, BufferId a, BufferId b);

  // ---- buffers and parameters ----

  BufferId activation(const std::string& name, Shape shape);
  void append(const std::string& name, const AnyOperation& operation);
  BufferId parameter(const std::string& name, Shape shape, std::vector<NamedTensor> tensors);
  BufferId constant(const std::string& name, int count, double value);
  BufferId add_bias(const std::string& name, int count, int fan_in);
  // NAME.weight of a 3x3 convolution.
  BufferId filter(const std::string& name, int in, int out, bool almost_zero);
  // Tensors of convolutions (K, C, R, S) and linear layers (out, in), with the configured initial values.
  NamedTensor weight(std::string name, Shape shape, bool almost_zero = false) const;
  NamedTensor bias(std::string name, int64_t count, int64_t fan_in) const;

 private:
  BufferId table(const std::string& name, int rows, int columns);

  Program& program_;
  const UnetConfig& config_;
  const UnetInstance& instance_;
  uint32_t dropout_count_ = 0;
};

}  // namespace ddpm
