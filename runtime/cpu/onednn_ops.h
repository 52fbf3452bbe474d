// Convolutions and attention in float through oneDNN, with the interface of kernels/reference.
#pragma once

#include <memory>

#include "kernels/attention.h"
#include "kernels/conv2d.h"

namespace ddpm {

// Caches the compiled primitive of each shape and their scratch memory. Not thread-safe.
class OneDnnOps {
 public:
  OneDnnOps();
  ~OneDnnOps();
  OneDnnOps(const OneDnnOps&) = delete;
  OneDnnOps& operator=(const OneDnnOps&) = delete;

  void conv2d(const Conv2dShape& shape, const Conv2dArgs<float>& args);
  void conv2d_backward_data(const Conv2dShape& shape, const Conv2dBackwardDataArgs<float>& args);
  void conv2d_backward_weight(const Conv2dShape& shape, const Conv2dBackwardWeightArgs<float>& args);

  void upsample_conv2d(const UpsampleConv2dShape& shape, const Conv2dArgs<float>& args);
  void upsample_conv2d_backward_data(const UpsampleConv2dShape& shape,
                                     const Conv2dBackwardDataArgs<float>& args);
  void upsample_conv2d_backward_weight(const UpsampleConv2dShape& shape,
                                       const Conv2dBackwardWeightArgs<float>& args);

  void attention(const AttentionShape& shape, const AttentionArgs<float>& args);
  void attention_backward(const AttentionShape& shape, const AttentionBackwardArgs<float>& args);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace ddpm
