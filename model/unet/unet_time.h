// The embeddings of a U-Net's time and condition, and every residual block's projection of them in one GEMM.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/unet/unet_layers.h"

namespace ddpm {

class UnetTime {
 public:
  // Appends t -> sinusoid or table -> linear -> SiLU -> linear, + the condition's embedding -> SiLU -> the
  // projections of all residual blocks, side by side.
  explicit UnetTime(UnetLayers& layers);

  // The projection of a residual block: its channels, or [scale, shift] with TimeModulation::kScaleShift.
  TimeSlice slice(const std::string& resnet_name) const {
    return {projections_, projection_columns_, projection_column_.at(resnet_name)};
  }

 private:
  BufferId project_time(const std::string& name, BufferId t);
  BufferId embed(const std::string& name, BufferId projected, BufferId residual);
  BufferId embed_condition(BufferId temb);
  void project(BufferId temb);

  UnetLayers& layers_;
  int projected_width_;               // of time_proj
  BufferId frequencies_ = kNoBuffer;  // with TimeEmbeddingType::kFourier
  BufferId projections_ = kNoBuffer;  // (N, projection_columns_)
  int projection_columns_ = 0;
  std::map<std::string, int> projection_column_;
};

}  // namespace ddpm
