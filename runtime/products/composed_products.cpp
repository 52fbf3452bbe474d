#include "runtime/products/composed_products.h"

#include <cstdint>
#include <utility>
#include <variant>

#include "runtime/products/layers.h"

namespace ddpm {
namespace {

// An address for a buffer while a program is surveyed, before it has one: different buffers differ, kNoBuffer
// is null, nothing is read or written there.
template <typename U>
U* address_of(BufferId id) {
  constexpr uintptr_t kFarApart = 4096;
  return reinterpret_cast<U*>(static_cast<uintptr_t>(id + 1) * kFarApart);
}

template <typename T>
class ProgramSurvey {
 public:
  explicit ProgramSurvey(const ComposedProductsOptions& options) : options_(options) {}

  void visit(const Operation& operation) {
    std::visit([this](const auto& op) { this->note(op); }, operation.operation);
    survey_.next_layer();
  }
  const ProductProblems& problems() const { return survey_.problems(); }

 private:
  static T* real(BufferId id) { return address_of<T>(id); }
  static float* master(BufferId id) { return address_of<float>(id); }

  void note(const Conv2d& op) {
    composed::conv2d<T>(survey_, op.shape,
                        {real(op.x), real(op.weight), master(op.bias), real(op.residual), real(op.y)});
  }
  void note(const Conv2dBackwardData& op) {
    composed::conv2d_backward_data<T>(survey_, op.shape,
                                      {real(op.dy), real(op.weight), real(op.residual), real(op.dx)});
  }
  void note(const Conv2dBackwardWeight& op) {
    composed::conv2d_backward_weight<T>(survey_, op.shape,
                                        {real(op.x), real(op.dy), master(op.dweight), master(op.dbias)});
  }
  void note(const UpsampleConv2d& op) {
    composed::upsample_conv2d<T>(survey_, options_.upsample, op.shape,
                                 {real(op.x), real(op.weight), master(op.bias), nullptr, real(op.y)});
  }
  void note(const UpsampleConv2dBackwardData& op) {
    composed::upsample_conv2d_backward_data<T>(
        survey_, options_.upsample, op.shape, {real(op.dy), real(op.weight), real(op.residual), real(op.dx)});
  }
  void note(const UpsampleConv2dBackwardWeight& op) {
    composed::upsample_conv2d_backward_weight<T>(
        survey_, options_.upsample, op.shape,
        {real(op.x), real(op.dy), master(op.dweight), master(op.dbias)});
  }
  void note(const Linear& op) {
    composed::linear<T>(survey_, op.shape,
                        {real(op.x), real(op.weight), master(op.bias), real(op.residual), real(op.y)});
  }
  void note(const LinearBackward& op) {
    composed::linear_backward<T>(
        survey_, op.shape,
        {real(op.dy), real(op.x), real(op.weight), real(op.dx), master(op.dweight), master(op.dbias)});
  }
  void note(const Attention& op) {
    composed::attention<T>(survey_, op.shape, {real(op.qkv), real(op.probabilities), real(op.y)});
  }
  void note(const AttentionBackward& op) {
    composed::attention_backward<T>(
        survey_, op.shape,
        {real(op.dy), real(op.qkv), real(op.probabilities), real(op.dscores), real(op.dqkv)});
  }
  template <typename Other>
  void note(const Other&) {}  // kernels of our own, which need nothing made ready

  ComposedProductsOptions options_;
  ProductSurvey survey_;
};

}  // namespace

template <typename T>
ProductProblems product_problems(const Program& program, const ComposedProductsOptions& options) {
  ProgramSurvey<T> survey(options);
  for (const Operation& operation : program.operations()) survey.visit(operation);
  return survey.problems();
}

template <typename T>
ComposedProducts<T>::ComposedProducts(std::unique_ptr<ProductPrimitives> primitives,
                                      const ComposedProductsOptions& options)
    : options_(options), primitives_(std::move(primitives)), scratch_(0) {}

template <typename T>
void ComposedProducts<T>::prepare(const Program& program, StreamView stream) {
  const ProductProblems problems = product_problems<T>(program, options_);
  primitives_->prepare(problems, stream);
  scratch_ = DeviceBuffer<std::byte>(problems.scratch_bytes);
}

template <typename T>
void ComposedProducts<T>::conv2d(const Conv2dShape& shape, const Conv2dArgs<T, float>& args,
                                 StreamView stream) {
  ProductRun run(*primitives_, scratch_.span(), stream);
  composed::conv2d(run, shape, args);
}

template <typename T>
void ComposedProducts<T>::conv2d_backward_data(const Conv2dShape& shape,
                                               const Conv2dBackwardDataArgs<T>& args, StreamView stream) {
  ProductRun run(*primitives_, scratch_.span(), stream);
  composed::conv2d_backward_data(run, shape, args);
}

template <typename T>
void ComposedProducts<T>::conv2d_backward_weight(const Conv2dShape& shape,
                                                 const Conv2dBackwardWeightArgs<T, float>& args,
                                                 StreamView stream) {
  ProductRun run(*primitives_, scratch_.span(), stream);
  composed::conv2d_backward_weight(run, shape, args);
}

template <typename T>
void ComposedProducts<T>::upsample_conv2d(const UpsampleConv2dShape& shape, const Conv2dArgs<T, float>& args,
                                          StreamView stream) {
  ProductRun run(*primitives_, scratch_.span(), stream);
  composed::upsample_conv2d(run, options_.upsample, shape, args);
}

template <typename T>
void ComposedProducts<T>::upsample_conv2d_backward_data(const UpsampleConv2dShape& shape,
                                                        const Conv2dBackwardDataArgs<T>& args,
                                                        StreamView stream) {
  ProductRun run(*primitives_, scratch_.span(), stream);
  composed::upsample_conv2d_backward_data(run, options_.upsample, shape, args);
}

template <typename T>
void ComposedProducts<T>::upsample_conv2d_backward_weight(const UpsampleConv2dShape& shape,
                                                          const Conv2dBackwardWeightArgs<T, float>& args,
                                                          StreamView stream) {
  ProductRun run(*primitives_, scratch_.span(), stream);
  composed::upsample_conv2d_backward_weight(run, options_.upsample, shape, args);
}

template <typename T>
void ComposedProducts<T>::linear(const LinearShape& shape, const LinearArgs<T, float>& args,
                                 StreamView stream) {
  ProductRun run(*primitives_, scratch_.span(), stream);
  composed::linear(run, shape, args);
}

template <typename T>
void ComposedProducts<T>::linear_backward(const LinearShape& shape, const LinearBackwardArgs<T, float>& args,
                                          StreamView stream) {
  ProductRun run(*primitives_, scratch_.span(), stream);
  composed::linear_backward(run, shape, args);
}

template <typename T>
void ComposedProducts<T>::attention(const AttentionShape& shape, const AttentionArgs<T>& args,
                                    StreamView stream) {
  ProductRun run(*primitives_, scratch_.span(), stream);
  composed::attention(run, shape, args);
}

template <typename T>
void ComposedProducts<T>::attention_backward(const AttentionShape& shape,
                                             const AttentionBackwardArgs<T>& args, StreamView stream) {
  ProductRun run(*primitives_, scratch_.span(), stream);
  composed::attention_backward(run, shape, args);
}

template class ComposedProducts<float>;
template class ComposedProducts<BFloat16>;
template ProductProblems product_problems<float>(const Program&, const ComposedProductsOptions&);
template ProductProblems product_problems<BFloat16>(const Program&, const ComposedProductsOptions&);

}  // namespace ddpm
