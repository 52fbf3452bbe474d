// The network's products made of a library's convolutions and matrix products and of our own kernels:
// which of them, in which order, on which pointers. Nothing here knows which library, so that every line
// also runs under the emulator.
//
//   3x3 convolution    bias and residual first, then the convolution accumulates on them; or both in its
//                      epilogue, where the library does that faster
//   its weight gradient in bf16    into scratch, then added to the float gradient: no library accumulates
//                      bf16 products of a convolution in float memory
//   1x1 convolution    matrix products over the pixels; slices of the weight by leading dimension
//   upsampling convolution    the data gradient of a 4x4 convolution (UpsampleConv2dShape::folded), or the
//                      convolution of an upsampled copy: whichever was measured to be faster
//   linear, attention  matrix products, with SiLU and softmax between them
//
// Bias and residual of matrix products are added in their epilogues, or first where that is faster.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "device/bfloat16.h"
#include "device/memory.h"
#include "runtime/gpu_options.h"
#include "runtime/library/primitives.h"
#include "runtime/library/steps.h"
#include "runtime/program/program.h"

namespace ddpm {

struct ComposedProductsOptions {
  UpsampleForm upsample = UpsampleForm::kAuto;
};

// In which form each upsampling convolution is computed: one for all passes of a layer, though none needs to
// know another's, for nothing passes between them that is not in both forms.
class UpsampleForms {
 public:
  explicit UpsampleForms(const ComposedProductsOptions& options) : wanted_(options.upsample) {}

  // kFolded or kNearest; where kAuto is wanted and nothing was chosen, folded.
  UpsampleForm of(const UpsampleConv2dShape& shape) const;
  bool are_open() const { return wanted_ == UpsampleForm::kAuto; }
  void choose(const UpsampleConv2dShape& shape, UpsampleForm form) { chosen_.emplace_back(shape, form); }

 private:
  UpsampleForm wanted_;
  std::vector<std::pair<UpsampleConv2dShape, UpsampleForm>> chosen_;
};

// What every operation of the program asks for.
template <typename T>
ProductProblems product_problems(const Program& program, const UpsampleForms& forms);
template <typename T>
ProductProblems product_problems(const Program& program, const ComposedProductsOptions& options = {}) {
  return product_problems<T>(program, UpsampleForms(options));
}

// Who computes convolutions, linear layers and attention for the GPU executor. T is float or BFloat16, the
// type of activations and of the weights computed with.
template <typename T>
class ComposedProducts {
 public:
  ComposedProducts(std::unique_ptr<ProductPrimitives> primitives, const ComposedProductsOptions& options);

  // Makes ready for every product of the program, once, before the first layer: chooses ways to compute,
  // allocates scratch. What has none is an InputError that names its shape. After it nothing allocates.
  void prepare(const Program& program, StreamView stream);

  // The steps of one layer of the program (product_operations.h) as they run on the stream.
  ProductRun layer(StreamView stream) { return {*primitives_, scratch_.span(), stream}; }

  // What layers are composed by (product_operations.h).
  const UpsampleForms& options() const { return forms_; }

 private:
  UpsampleForms forms_;
  std::unique_ptr<ProductPrimitives> primitives_;
  DeviceBuffer<std::byte> scratch_;
};

extern template class ComposedProducts<float>;
extern template class ComposedProducts<BFloat16>;
extern template ProductProblems product_problems<float>(const Program&, const UpsampleForms&);
extern template ProductProblems product_problems<BFloat16>(const Program&, const UpsampleForms&);

}  // namespace ddpm
