// The products among a program's operations as the steps of layers.h: which of an operation's buffers is
// which argument, said once for the survey of a program and for its runs.
#pragma once

#include "runtime/library/layers.h"
#include "runtime/program/operations.h"

namespace ddpm {

// Memory says where buffers are: real(id) is a T* to activations, master(id) a float* to the gradients of
// parameters, weight(id) a T* to a parameter as products compute with it; null for kNoBuffer.
template <typename T, typename Memory>
class ProductOperations {
 public:
  // All must outlive this object.
  ProductOperations(ProductSteps& steps, const Memory& memory, const UpsampleForms& forms)
      : steps_(&steps), memory_(&memory), forms_(&forms) {}

  void operator()(const Conv2d& op) const {
    composed::conv2d<T>(*steps_, op.shape,
                        {real(op.x), weight(op.weight), weight(op.bias), real(op.residual), real(op.y)});
  }
  void operator()(const Conv2dBackwardData& op) const {
    composed::conv2d_backward_data<T>(*steps_, op.shape,
                                      {real(op.dy), weight(op.weight), real(op.residual), real(op.dx)});
  }
  void operator()(const Conv2dBackwardWeight& op) const {
    composed::conv2d_backward_weight<T>(
        *steps_, op.shape,
        {real(op.x), real(op.dy), master(op.dweight), master(op.dbias), master(op.also_dbias)});
  }
  void operator()(const UpsampleConv2d& op) const {
    composed::upsample_conv2d<T>(*steps_, forms_->of(op.shape), op.shape,
                                 {real(op.x), weight(op.weight), weight(op.bias), nullptr, real(op.y)});
  }
  void operator()(const UpsampleConv2dBackwardData& op) const {
    composed::upsample_conv2d_backward_data<T>(
        *steps_, forms_->of(op.shape), op.shape,
        {real(op.dy), weight(op.weight), real(op.residual), real(op.dx)});
  }
  void operator()(const UpsampleConv2dBackwardWeight& op) const {
    composed::upsample_conv2d_backward_weight<T>(
        *steps_, forms_->of(op.shape), op.shape,
        {real(op.x), real(op.dy), master(op.dweight), master(op.dbias)});
  }
  void operator()(const Linear& op) const {
    composed::linear<T>(*steps_, op.shape,
                        {real(op.x), weight(op.weight), weight(op.bias), real(op.residual), real(op.y)});
  }
  void operator()(const LinearBackward& op) const {
    composed::linear_backward<T>(
        *steps_, op.shape,
        {real(op.dy), real(op.x), weight(op.weight), real(op.dx), master(op.dweight), master(op.dbias)});
  }
  void operator()(const Attention& op) const {
    composed::attention<T>(*steps_, op.shape, {real(op.qkv), real(op.probabilities), real(op.y)});
  }
  void operator()(const AttentionBackward& op) const {
    composed::attention_backward<T>(
        *steps_, op.shape,
        {real(op.dy), real(op.qkv), real(op.probabilities), real(op.dscores), real(op.dqkv)});
  }

 private:
  T* real(BufferId id) const { return memory_->real(id); }
  float* master(BufferId id) const { return memory_->master(id); }
  const T* weight(BufferId id) const { return memory_->weight(id); }

  ProductSteps* steps_;
  const Memory* memory_;
  const UpsampleForms* forms_;
};

}  // namespace ddpm
