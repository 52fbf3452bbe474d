// Self-attention over the pixels of an image. Implementations: plain loops in
// kernels/reference/attention.cpp; oneDNN in runtime/cpu/onednn_ops.cpp; cuBLASLt and kernels/softmax.h in
// runtime/library/lower_attention.cpp.
#pragma once

#include <cstdint>

#include "kernels/operation.h"

namespace ddpm {

// Vaswani et al. 2017, eq. 1, for each image and head: y = softmax(q k^T / sqrt(d)) v. qkv (N, L, 3C) holds q
// in channels [0,C), k in [C,2C) and v in [2C,3C); of each, head j owns channels [j d, (j+1) d).
struct AttentionShape {
  int n = 1;
  int length = 1;  // L = H*W
  int heads = 1;
  int head_dim = 1;  // d

  int channels() const { return heads * head_dim; }
  int64_t y_elements() const { return int64_t{n} * length * channels(); }
  int64_t score_elements() const { return int64_t{n} * heads * length * length; }
  bool operator==(const AttentionShape&) const = default;
};

// probabilities (N, heads, L, L), rows sum to one: kept for the backward pass. y (N, L, C).
template <typename T>
struct AttentionArgs {
  const T* qkv;
  T* probabilities;
  T* y;
};

// dscores (N, heads, L, L) is scratch. dqkv (N, L, 3C) is overwritten.
template <typename T>
struct AttentionBackwardArgs {
  const T* dy;
  const T* qkv;
  const T* probabilities;
  T* dscores;
  T* dqkv;
};

inline Cost cost(const AttentionShape& s, int element_bytes) {
  return {4.0 * double(s.score_elements()) * s.head_dim,
          element_bytes * (4.0 * double(s.y_elements()) + double(s.score_elements()))};
}
inline Cost backward_cost(const AttentionShape& s, int element_bytes) {
  return {8.0 * double(s.score_elements()) * s.head_dim,
          element_bytes * (7.0 * double(s.y_elements()) + double(s.score_elements()))};
}

namespace reference {
template <typename T>
void attention(const AttentionShape& shape, const AttentionArgs<T>& args);
template <typename T>
void attention_backward(const AttentionShape& shape, const AttentionBackwardArgs<T>& args);
}  // namespace reference

struct Attention {
  AttentionShape shape;
  BufferId qkv, probabilities = kNoBuffer, y = kNoBuffer;

  static constexpr const char* kKind = "attention";
  template <typename Memory>
  auto args(Memory&& m) const {
    return AttentionArgs<ComputeType<Memory>>{.qkv = m.read("qkv", qkv),
                                              .probabilities = m.write("probabilities", probabilities),
                                              .y = m.write("y", y)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(shape, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const {
    // Scores are stored before the exponential, which turns a relative error u into an error u |score|;
    // scores of more than 4 leave little to the others.
    return growth_of_sum(double(shape.head_dim) + shape.length, 8);
  }
  template <typename T>
  void compute(const AttentionArgs<T>& args) const {
    reference::attention<T>(shape, args);
  }
};

struct AttentionBackward {
  AttentionShape shape;
  BufferId dy, qkv, probabilities, dscores = kNoBuffer, dqkv = kNoBuffer;

  static constexpr const char* kKind = "attention_backward";
  template <typename Memory>
  auto args(Memory&& m) const {
    return AttentionBackwardArgs<ComputeType<Memory>>{.dy = m.read("dy", dy),
                                                      .qkv = m.read("qkv", qkv),
                                                      .probabilities = m.read("probabilities", probabilities),
                                                      .dscores = m.write("dscores", dscores),
                                                      .dqkv = m.write("dqkv", dqkv)};
  }
  Cost cost(int element_bytes) const { return backward_cost(shape, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const {
    return growth_of_sum(double(shape.head_dim) + shape.length, 8);
  }
  template <typename T>
  void compute(const AttentionBackwardArgs<T>& args) const {
    reference::attention_backward<T>(shape, args);
  }
};

}  // namespace ddpm
