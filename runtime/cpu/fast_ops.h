// The operations with a faster CPU implementation than kernels/reference, in float.
#pragma once

#include "kernels/cpu/cpu.h"
#include "runtime/cpu/onednn_ops.h"
#include "runtime/program/operations.h"
#include "runtime/program_memory.h"

namespace ddpm {

class FastOps {
 public:
  void run(const Conv2d& op, const Conv2dArgs<float>& args) { onednn_.conv2d(op.shape, args); }
  void run(const Conv2dBackwardData& op, const Conv2dBackwardDataArgs<float>& args) {
    onednn_.conv2d_backward_data(op.shape, args);
  }
  void run(const Conv2dBackwardWeight& op, const Conv2dBackwardWeightArgs<float>& args) {
    onednn_.conv2d_backward_weight(op.shape, args);
  }
  void run(const UpsampleConv2d& op, const Conv2dArgs<float>& args) {
    onednn_.upsample_conv2d(op.shape, args);
  }
  void run(const UpsampleConv2dBackwardData& op, const Conv2dBackwardDataArgs<float>& args) {
    onednn_.upsample_conv2d_backward_data(op.shape, args);
  }
  void run(const UpsampleConv2dBackwardWeight& op, const Conv2dBackwardWeightArgs<float>& args) {
    onednn_.upsample_conv2d_backward_weight(op.shape, args);
  }
  void run(const Attention& op, const AttentionArgs<float>& args) { onednn_.attention(op.shape, args); }
  void run(const AttentionBackward& op, const AttentionBackwardArgs<float>& args) {
    onednn_.attention_backward(op.shape, args);
  }
  void run(const GroupNorm& op, const GroupNormArgs<float>& args) { cpu::group_norm(op.params, args); }
  void run(const GroupNormBackward& op, const GroupNormBackwardArgs<float>& args) {
    cpu::group_norm_backward(op.forward.params, args);
  }
  void run(const Linear& op, const LinearArgs<float>& args) { cpu::linear(op.params, args); }
  void run(const LinearBackward& op, const LinearBackwardArgs<float>& args) {
    cpu::linear_backward(op.params, args);
  }
  void run(const AdamEma& op, const AdamEmaArgs<float>& args) { cpu::adam_ema(op.params, args); }

 private:
  OneDnnOps onednn_;
};

template <typename Op>
concept HasFastOp = requires(FastOps& ops, const Op& op, const ProgramMemory& memory) {
  ops.run(op, op.args(BufferView<float, float>(memory)));
};

}  // namespace ddpm
