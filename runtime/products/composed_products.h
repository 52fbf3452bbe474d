// The network's products made of a library's convolutions and matrix products and of our own kernels: which
// of them, in which order, on which pointers. Nothing here knows which library, so that every line also runs
// under the emulator. Depends on runtime/{gpu_options,gpu/products,products/primitives}.h,
// kernels/cuda/kernels.h and kernels/device/memory.h; a program that uses it links one backend of those.
//
//   3x3 convolution    bias and residual first, then the convolution accumulates on them
//   its weight gradient in bf16    into scratch, then added to the float gradient: no library accumulates
//                      bf16 products of a convolution in float memory
//   1x1 convolution    matrix products over the pixels; slices of the weight by leading dimension
//   upsampling convolution    the data gradient of a 4x4 convolution (UpsampleConv2dShape::folded), or the
//                      convolution of an upsampled copy
//   linear, attention  matrix products, with SiLU and softmax between them
#pragma once

#include <cstddef>
#include <memory>

#include "kernels/device/bfloat16.h"
#include "kernels/device/memory.h"
#include "runtime/gpu/products.h"
#include "runtime/gpu_options.h"
#include "runtime/products/primitives.h"

namespace ddpm {

struct ComposedProductsOptions {
  UpsampleForm upsample = UpsampleForm::kFolded;
};

// What every operation of the program asks for.
template <typename T>
ProductProblems product_problems(const Program& program, const ComposedProductsOptions& options = {});

template <typename T>
class ComposedProducts final : public GpuProducts<T> {
 public:
  ComposedProducts(std::unique_ptr<ProductPrimitives> primitives, const ComposedProductsOptions& options);

  void prepare(const Program& program, StreamView stream) override;

  void conv2d(const Conv2dShape& shape, const Conv2dArgs<T, float>& args, StreamView stream) override;
  void conv2d_backward_data(const Conv2dShape& shape, const Conv2dBackwardDataArgs<T>& args,
                            StreamView stream) override;
  void conv2d_backward_weight(const Conv2dShape& shape, const Conv2dBackwardWeightArgs<T, float>& args,
                              StreamView stream) override;

  void upsample_conv2d(const UpsampleConv2dShape& shape, const Conv2dArgs<T, float>& args,
                       StreamView stream) override;
  void upsample_conv2d_backward_data(const UpsampleConv2dShape& shape, const Conv2dBackwardDataArgs<T>& args,
                                     StreamView stream) override;
  void upsample_conv2d_backward_weight(const UpsampleConv2dShape& shape,
                                       const Conv2dBackwardWeightArgs<T, float>& args,
                                       StreamView stream) override;

  void linear(const LinearShape& shape, const LinearArgs<T, float>& args, StreamView stream) override;
  void linear_backward(const LinearShape& shape, const LinearBackwardArgs<T, float>& args,
                       StreamView stream) override;

  void attention(const AttentionShape& shape, const AttentionArgs<T>& args, StreamView stream) override;
  void attention_backward(const AttentionShape& shape, const AttentionBackwardArgs<T>& args,
                          StreamView stream) override;

 private:
  ComposedProductsOptions options_;
  std::unique_ptr<ProductPrimitives> primitives_;
  DeviceBuffer<std::byte> scratch_;
};

extern template class ComposedProducts<float>;
extern template class ComposedProducts<BFloat16>;
extern template ProductProblems product_problems<float>(const Program&, const ComposedProductsOptions&);
extern template ProductProblems product_problems<BFloat16>(const Program&, const ComposedProductsOptions&);

}  // namespace ddpm
