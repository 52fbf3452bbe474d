#include "runtime/program/operations.h"

#include <algorithm>

namespace ddpm {
namespace {

Operand read(const char* name, BufferId buffer) { return {name, buffer, Access::kRead, kNoBuffer}; }
Operand write(const char* name, BufferId buffer, BufferId may_share = kNoBuffer) {
  return {name, buffer, Access::kWrite, may_share};
}
Operand update(const char* name, BufferId buffer) { return {name, buffer, Access::kUpdate, kNoBuffer}; }

struct CostOf {
  int element_bytes;

  Cost operator()(const Conv2d& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const Conv2dBackwardData& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const Conv2dBackwardWeight& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const UpsampleConv2d& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const UpsampleConv2dBackwardData& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const UpsampleConv2dBackwardWeight& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const GroupNorm& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const GroupNormBackward& op) const {
    return backward_cost(op.forward.shape, element_bytes);
  }
  Cost operator()(const Attention& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const AttentionBackward& op) const { return backward_cost(op.shape, element_bytes); }
  Cost operator()(const Linear& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const LinearBackward& op) const { return backward_cost(op.shape, element_bytes); }
  Cost operator()(const TimeEmbedding& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const Add& op) const { return {double(op.count), 3.0 * element_bytes * double(op.count)}; }
  Cost operator()(const UpsampleNearest& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const SumPool& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const Rescale& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const OneHot& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const Diffuse& op) const { return cost_of_diffuse(op.shape, element_bytes); }
  Cost operator()(const GatherLabels& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const Loss& op) const { return cost_of_loss(op.shape, element_bytes); }
  Cost operator()(const ZeroGradients&) const { return {}; }
  Cost operator()(const AdamEma& op) const { return cost(op.shape, sizeof(float)); }
  Cost operator()(const AdvanceCounter&) const { return {}; }
  Cost operator()(const SamplerStart&) const { return {}; }
  Cost operator()(const Guidance& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const DynamicThreshold& op) const { return cost(op.shape, element_bytes); }
  Cost operator()(const SamplerStep& op) const { return cost(op.shape, element_bytes); }
};

}  // namespace

// A library's convolution that adds bias and residual itself does not say that it could read the residual
// where it writes y; whether it is used must not hang on where buffers lie, for it rounds otherwise.
Operands Conv2d::operands() const {
  const bool may_be_fused = shape.filter > 1 && bias != kNoBuffer;
  return {read("x", x), read("weight", weight), read("bias", bias), read("residual", residual),
          write("y", y, may_be_fused ? kNoBuffer : residual)};
}
Operands Conv2dBackwardData::operands() const {
  return {read("dy", dy), read("weight", weight), read("residual", residual), write("dx", dx, residual)};
}
Operands Conv2dBackwardWeight::operands() const {
  return {read("x", x), read("dy", dy), update("dweight", dweight), update("dbias", dbias),
          update("also_dbias", also_dbias)};
}
Operands UpsampleConv2d::operands() const {
  return {read("x", x), read("weight", weight), read("bias", bias), write("y", y)};
}
Operands UpsampleConv2dBackwardData::operands() const {
  return {read("dy", dy), read("weight", weight), read("residual", residual), write("dx", dx, residual)};
}
Operands UpsampleConv2dBackwardWeight::operands() const {
  return {read("x", x), read("dy", dy), update("dweight", dweight), update("dbias", dbias)};
}
Operands GroupNorm::operands() const {
  return {read("x0", x0),       read("x1", x1),      read("shift", shift), read("bias", bias),
          read("gamma", gamma), read("beta", beta),  read("film", film),   read("step", step),
          write("y", y),        write("mean", mean), write("rstd", rstd)};
}
Operands GroupNormBackward::operands() const {
  return {read("dy", dy),
          read("x0", forward.x0),
          read("x1", forward.x1),
          read("shift", forward.shift),
          read("bias", forward.bias),
          read("gamma", forward.gamma),
          read("beta", forward.beta),
          read("film", forward.film),
          read("step", forward.step),
          read("mean", forward.mean),
          read("rstd", forward.rstd),
          read("dx0_addend", dx0_addends[0]),
          read("dx0_addend", dx0_addends[1]),
          read("dx1_addend", dx1_addends[0]),
          read("dx1_addend", dx1_addends[1]),
          write("dx0", dx0, dx0_addends[0]),
          write("dx1", dx1, dx1_addends[0]),
          write("dshift", dshift),
          write("dfilm", dfilm),
          update("dbias", dbias),
          update("dgamma", dgamma),
          update("dbeta", dbeta)};
}
Operands Attention::operands() const {
  return {read("qkv", qkv), write("probabilities", probabilities), write("y", y)};
}
Operands AttentionBackward::operands() const {
  return {read("dy", dy), read("qkv", qkv), read("probabilities", probabilities), write("dscores", dscores),
          write("dqkv", dqkv)};
}
Operands Linear::operands() const {
  return {read("x", x), read("weight", weight), read("bias", bias), read("residual", residual),
          write("y", y, residual)};
}
Operands LinearBackward::operands() const {
  return {read("dy", dy),
          read("x", x),
          read("weight", weight),
          write("dx", dx),
          update("dweight", dweight),
          update("dbias", dbias)};
}
Operands TimeEmbedding::operands() const {
  return {read("t", t), read("frequencies", frequencies), write("y", y)};
}
Operands Add::operands() const { return {read("a", a), read("b", b), write("y", y, a)}; }
Operands UpsampleNearest::operands() const {
  return {read("x", x), read("residual", residual), write("y", y, residual)};
}
Operands SumPool::operands() const {
  return {read("x", x), read("residual", residual), write("y", y, residual)};
}
Operands Rescale::operands() const { return {read("x", x), read("divisor", divisor), write("y", y, x)}; }
Operands OneHot::operands() const { return {read("index", index), write("y", y)}; }
Operands Diffuse::operands() const {
  return {read("dataset", dataset), read("signal", signal), read("noise", noise),
          read("step", step),       write("x_t", x_t),      write("t", t)};
}
Operands GatherLabels::operands() const {
  return {read("labels", labels), read("step", step), write("y", y)};
}
Operands Loss::operands() const {
  return {read("prediction", prediction),
          read("dataset", dataset),
          read("signal", signal),
          read("noise", noise),
          read("weight", weight),
          read("t", t),
          read("step", step),
          write("dprediction", dprediction),
          write("image_loss", image_loss)};
}
Operands AdamEma::operands() const {
  return {read("step", step),
          update("m", m),
          update("v", v),
          update("ema", ema),
          write("gradient_norm", gradient_norm),
          write("learning_rate", learning_rate)};
}
Operands AdvanceCounter::operands() const { return {update("counter", counter)}; }
Operands SamplerStart::operands() const {
  return {read("table", table), read("first_image", first_image), write("x", x),
          write("network_input", network_input), write("t", t)};
}
Operands Guidance::operands() const { return {read("answers", answers), write("y", y)}; }
Operands DynamicThreshold::operands() const {
  return {read("output", output), read("table", table), read("index", index), read("x", x),
          write("threshold", threshold)};
}
Operands SamplerStep::operands() const {
  return {read("output", output),
          read("table", table),
          read("index", index),
          read("first_image", first_image),
          update("x", x),
          update("memory", memory),
          read("threshold", threshold),
          write("network_input", network_input),
          update("t", t)};
}

Operands operands(const AnyOperation& operation) {
  Operands all = std::visit([](const auto& op) { return op.operands(); }, operation);
  std::erase_if(all, [](const Operand& operand) { return operand.buffer == kNoBuffer; });
  return all;
}

const char* kind(const AnyOperation& operation) {
  return std::visit([](const auto& op) { return op.kKind; }, operation);
}

Cost cost(const AnyOperation& operation, int element_bytes) {
  return std::visit(CostOf{element_bytes}, operation);
}

}  // namespace ddpm
