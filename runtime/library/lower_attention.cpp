// Attention: batched GEMMs around the softmax kernels. A batch is one head of all images, which have one
// stride; heads and images together do not.
#include <cmath>

#include "runtime/library/lower_layers.h"

namespace ddpm {
namespace {

// The places of one head's matrices.
struct Head {
  GemmOperand q, k, v;  // (L, d) within qkv and dqkv (N, L, 3C)
  GemmOperand y;        // (L, d) within y and dy (N, L, C)
  GemmOperand scores;   // (L, L) within (N, heads, L, L)
};

Head head_at(const AttentionShape& s, int head) {
  const int64_t length = s.length, channels = s.channels();
  const auto columns = [&](int64_t width, int64_t begin) {
    return GemmOperand{.leading_dimension = width, .begin = begin, .batch_stride = length * width};
  };
  const int64_t begin = int64_t{head} * s.head_dim, scores = length * length;
  return {.q = columns(3 * channels, begin),
          .k = columns(3 * channels, channels + begin),
          .v = columns(3 * channels, 2 * channels + begin),
          .y = columns(channels, begin),
          .scores = {.leading_dimension = length, .begin = head * scores, .batch_stride = s.heads * scores}};
}

GemmOperand transposed(GemmOperand operand) {
  operand.transpose = Transpose::kYes;
  return operand;
}

// (L, L) from two (L, d): a b^T.
template <typename T>
GemmProblem to_scores(const AttentionShape& s, const GemmOperand& a, const GemmOperand& b, const Head& head) {
  return {.m = s.length,
          .n = s.length,
          .k = s.head_dim,
          .a = a,
          .b = transposed(b),
          .d = head.scores,
          .batch = s.n,
          .input = kElementType<T>,
          .output = kElementType<T>};
}

// (L, d) from (L, L) and (L, d): scores b.
template <typename T>
GemmProblem from_scores(const AttentionShape& s, const GemmOperand& scores, const GemmOperand& b,
                        const GemmOperand& d) {
  return {.m = s.length,
          .n = s.head_dim,
          .k = s.length,
          .a = scores,
          .b = b,
          .d = d,
          .batch = s.n,
          .input = kElementType<T>,
          .output = kElementType<T>};
}

SoftmaxParams softmax_of(const AttentionShape& s) {
  return {.rows = int64_t{s.n} * s.heads * s.length,
          .length = s.length,
          .scale = 1 / std::sqrt(static_cast<double>(s.head_dim))};
}

template <typename T>
void gemm(Lowering<T>& to, const GemmProblem& problem, const Place& a, const Place& b, const Place& d) {
  to.gemm({.problem = problem, .a = a, .b = b, .d = d});
}

}  // namespace

template <typename T>
void lower_layer(Lowering<T>& to, const Attention& op) {
  const AttentionShape& s = op.shape;
  const Place qkv = to.compute(op.qkv), probabilities = to.compute(op.probabilities), y = to.compute(op.y);
  for (int j = 0; j < s.heads; ++j) {
    const Head head = head_at(s, j);
    gemm(to, to_scores<T>(s, head.q, head.k, head), qkv, qkv, probabilities);
  }
  to.kernel(bytes_of<T>(s.score_elements(), 2), [=](const Addresses<T>& at, StreamView stream) {
    T* p = at.template of<T>(probabilities);
    cuda::softmax<T>(softmax_of(s), {.x = p, .p = p}, stream);
  });
  for (int j = 0; j < s.heads; ++j) {
    const Head head = head_at(s, j);
    gemm(to, from_scores<T>(s, head.scores, head.v, head.y), probabilities, qkv, y);
  }
}

template <typename T>
void lower_layer(Lowering<T>& to, const AttentionBackward& op) {
  const AttentionShape& s = op.shape;
  const Place dy = to.compute(op.dy), qkv = to.compute(op.qkv), probabilities = to.compute(op.probabilities),
              dscores = to.compute(op.dscores), dqkv = to.compute(op.dqkv);
  for (int j = 0; j < s.heads; ++j) {
    const Head head = head_at(s, j);
    gemm(to, to_scores<T>(s, head.y, head.v, head), dy, qkv, dscores);
    gemm(to, from_scores<T>(s, transposed(head.scores), head.y, head.v), probabilities, dy, dqkv);
  }
  to.kernel(bytes_of<T>(s.score_elements(), 3), [=](const Addresses<T>& at, StreamView stream) {
    T* scores = at.template of<T>(dscores);
    cuda::softmax_backward<T>(softmax_of(s),
                              {.p = at.template of<T>(probabilities), .dp = scores, .dx = scores}, stream);
  });
  for (int j = 0; j < s.heads; ++j) {
    const Head head = head_at(s, j);
    gemm(to, from_scores<T>(s, head.scores, head.k, head.q), dscores, qkv, dqkv);
    gemm(to, from_scores<T>(s, transposed(head.scores), head.q, head.k), dscores, qkv, dqkv);
  }
}

template void lower_layer(Lowering<float>&, const Attention&);
template void lower_layer(Lowering<float>&, const AttentionBackward&);
template void lower_layer(Lowering<BFloat16>&, const Attention&);
template void lower_layer(Lowering<BFloat16>&, const AttentionBackward&);

}  // namespace ddpm
