// Who computes convolutions, linear layers and attention for the GPU executor: cuDNN and cuBLASLt on a GPU
// (runtime/cuda/), plain loops under the emulator. Depends on kernels/{conv2d,linear,attention}.h,
// kernels/device/stream.h, runtime/program.h.
#pragma once

#include "kernels/attention.h"
#include "kernels/conv2d.h"
#include "kernels/device/stream.h"
#include "kernels/linear.h"
#include "runtime/program.h"

namespace ddpm {

// T is float or BFloat16, the type of activations and of the weights computed with; biases and the gradients
// of parameters are float. Pointers are device memory. The arguments mean what they mean in the headers of
// kernels/: bias, residual and accumulation included. All is asynchronous on the stream.
template <typename T>
class GpuProducts {
 public:
  virtual ~GpuProducts() = default;

  // Makes ready for every product of the program, once, before the first call: chooses ways to compute,
  // allocates scratch. What has none is an InputError that names its shape. Nothing below allocates.
  virtual void prepare(const Program& program, StreamView stream) = 0;

  virtual void conv2d(const Conv2dShape& shape, const Conv2dArgs<T, float>& args, StreamView stream) = 0;
  virtual void conv2d_backward_data(const Conv2dShape& shape, const Conv2dBackwardDataArgs<T>& args,
                                    StreamView stream) = 0;
  virtual void conv2d_backward_weight(const Conv2dShape& shape,
                                      const Conv2dBackwardWeightArgs<T, float>& args, StreamView stream) = 0;

  virtual void upsample_conv2d(const UpsampleConv2dShape& shape, const Conv2dArgs<T, float>& args,
                               StreamView stream) = 0;
  virtual void upsample_conv2d_backward_data(const UpsampleConv2dShape& shape,
                                             const Conv2dBackwardDataArgs<T>& args, StreamView stream) = 0;
  virtual void upsample_conv2d_backward_weight(const UpsampleConv2dShape& shape,
                                               const Conv2dBackwardWeightArgs<T, float>& args,
                                               StreamView stream) = 0;

  virtual void linear(const LinearShape& shape, const LinearArgs<T, float>& args, StreamView stream) = 0;
  virtual void linear_backward(const LinearShape& shape, const LinearBackwardArgs<T, float>& args,
                               StreamView stream) = 0;

  virtual void attention(const AttentionShape& shape, const AttentionArgs<T>& args, StreamView stream) = 0;
  virtual void attention_backward(const AttentionShape& shape, const AttentionBackwardArgs<T>& args,
                                  StreamView stream) = 0;
};

}  // namespace ddpm
