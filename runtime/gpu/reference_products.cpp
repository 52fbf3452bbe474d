#include "runtime/gpu/reference_products.h"

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/emulator/emulator.h"
#include "kernels/reference/reference.h"

namespace ddpm {
namespace {

// An operand in float: T's own memory, or a widened copy of it. Null stays null.
template <typename T>
class Input {
 public:
  Input(const T* from, int64_t count) {
    if constexpr (std::is_same_v<T, float>) {
      values_ = from;
    } else if (from != nullptr) {
      widened_.resize(static_cast<size_t>(count));
      std::transform(from, from + count, widened_.begin(), [](T value) { return to_float(value); });
      values_ = widened_.data();
    }
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // NOLINTNEXTLINE(google-explicit-constructor): it stands where a pointer stands
  operator const float*() const { return values_; }

 private:
  std::vector<float> widened_;
  const float* values_ = nullptr;
};

// A result in float, which is rounded to T's memory when it goes.
template <typename T>
class Output {
 public:
  Output(T* to, int64_t count) : to_(to) {
    if constexpr (!std::is_same_v<T, float>)
      if (to != nullptr) computed_.resize(static_cast<size_t>(count));
  }
  ~Output() {
    if constexpr (!std::is_same_v<T, float>)
      std::transform(computed_.begin(), computed_.end(), to_,
                     [](float value) { return from_float<T>(value); });
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // NOLINTNEXTLINE(google-explicit-constructor): it stands where a pointer stands
  operator float*() {
    if constexpr (std::is_same_v<T, float>) {
      return to_;
    } else {
      return to_ == nullptr ? nullptr : computed_.data();
    }
  }

 private:
  T* to_;
  std::vector<float> computed_;
};

int64_t weight_elements(const LinearShape& shape) { return int64_t{shape.in} * shape.out; }

template <typename T>
class ReferenceProducts final : public GpuProducts<T> {
 public:
  void prepare(const Program&, StreamView) override {}

  void conv2d(const Conv2dShape& s, const Conv2dArgs<T, float>& args, StreamView stream) override {
    emulator::submit(stream, [=] {
      const Input<T> x(args.x, s.x_elements()), weight(args.weight, s.weight_elements()),
          residual(args.residual, s.y_elements());
      Output<T> y(args.y, s.y_elements());
      reference::conv2d<float>(s, {x, weight, args.bias, residual, y});
    });
  }
  void conv2d_backward_data(const Conv2dShape& s, const Conv2dBackwardDataArgs<T>& args,
                            StreamView stream) override {
    emulator::submit(stream, [=] {
      const Input<T> dy(args.dy, s.y_elements()), weight(args.weight, s.weight_elements()),
          residual(args.residual, s.x_elements());
      Output<T> dx(args.dx, s.x_elements());
      reference::conv2d_backward_data<float>(s, {dy, weight, residual, dx});
    });
  }
  void conv2d_backward_weight(const Conv2dShape& s, const Conv2dBackwardWeightArgs<T, float>& args,
                              StreamView stream) override {
    emulator::submit(stream, [=] {
      const Input<T> x(args.x, s.x_elements()), dy(args.dy, s.y_elements());
      reference::conv2d_backward_weight<float>(s, {x, dy, args.dweight, args.dbias});
    });
  }

  void upsample_conv2d(const UpsampleConv2dShape& s, const Conv2dArgs<T, float>& args,
                       StreamView stream) override {
    emulator::submit(stream, [=] {
      const Input<T> x(args.x, small_elements(s)), weight(args.weight, s.upsampled().weight_elements()),
          residual(args.residual, s.upsampled().y_elements());
      Output<T> y(args.y, s.upsampled().y_elements());
      reference::upsample_conv2d<float>(s, {x, weight, args.bias, residual, y});
    });
  }
  void upsample_conv2d_backward_data(const UpsampleConv2dShape& s, const Conv2dBackwardDataArgs<T>& args,
                                     StreamView stream) override {
    emulator::submit(stream, [=] {
      const Input<T> dy(args.dy, s.upsampled().y_elements()),
          weight(args.weight, s.upsampled().weight_elements()), residual(args.residual, small_elements(s));
      Output<T> dx(args.dx, small_elements(s));
      reference::upsample_conv2d_backward_data<float>(s, {dy, weight, residual, dx});
    });
  }
  void upsample_conv2d_backward_weight(const UpsampleConv2dShape& s,
                                       const Conv2dBackwardWeightArgs<T, float>& args,
                                       StreamView stream) override {
    emulator::submit(stream, [=] {
      const Input<T> x(args.x, small_elements(s)), dy(args.dy, s.upsampled().y_elements());
      reference::upsample_conv2d_backward_weight<float>(s, {x, dy, args.dweight, args.dbias});
    });
  }

  void linear(const LinearShape& s, const LinearArgs<T, float>& args, StreamView stream) override {
    emulator::submit(stream, [=] {
      const Input<T> x(args.x, int64_t{s.n} * s.in), weight(args.weight, weight_elements(s)),
          residual(args.residual, int64_t{s.n} * s.out);
      Output<T> y(args.y, int64_t{s.n} * s.out);
      reference::linear<float>(s, {x, weight, args.bias, residual, y});
    });
  }
  void linear_backward(const LinearShape& s, const LinearBackwardArgs<T, float>& args,
                       StreamView stream) override {
    emulator::submit(stream, [=] {
      const Input<T> dy(args.dy, int64_t{s.n} * s.out), x(args.x, int64_t{s.n} * s.in),
          weight(args.weight, weight_elements(s));
      Output<T> dx(args.dx, int64_t{s.n} * s.in);
      reference::linear_backward<float>(s, {dy, x, weight, dx, args.dweight, args.dbias});
    });
  }

  void attention(const AttentionShape& s, const AttentionArgs<T>& args, StreamView stream) override {
    emulator::submit(stream, [=] {
      const Input<T> qkv(args.qkv, 3 * s.y_elements());
      Output<T> probabilities(args.probabilities, s.score_elements()), y(args.y, s.y_elements());
      reference::attention<float>(s, {qkv, probabilities, y});
    });
  }
  void attention_backward(const AttentionShape& s, const AttentionBackwardArgs<T>& args,
                          StreamView stream) override {
    emulator::submit(stream, [=] {
      const Input<T> dy(args.dy, s.y_elements()), qkv(args.qkv, 3 * s.y_elements()),
          probabilities(args.probabilities, s.score_elements());
      Output<T> dscores(args.dscores, s.score_elements()), dqkv(args.dqkv, 3 * s.y_elements());
      reference::attention_backward<float>(s, {dy, qkv, probabilities, dscores, dqkv});
    });
  }

 private:
  static int64_t small_elements(const UpsampleConv2dShape& s) { return int64_t{s.n} * s.h * s.w * s.c; }
};

}  // namespace

template <typename T>
std::unique_ptr<GpuProducts<T>> make_reference_products() {
  return std::make_unique<ReferenceProducts<T>>();
}

template std::unique_ptr<GpuProducts<float>> make_reference_products();
template std::unique_ptr<GpuProducts<BFloat16>> make_reference_products();

}  // namespace ddpm
