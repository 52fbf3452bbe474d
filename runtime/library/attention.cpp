// Attention: batched matrix products around the softmax kernels. A batch is one head of all images, for those
// are equally far apart; heads and images together are not.
#include <cmath>

#include "runtime/library/layers.h"

namespace ddpm::composed {
namespace {

// Where one head's matrices lie.
struct Head {
  MatrixOperand q, k, v;  // (L, d) within qkv and dqkv (N, L, 3C)
  MatrixOperand y;        // (L, d) within y and dy (N, L, C)
  MatrixOperand scores;   // (L, L) within (N, heads, L, L)
};

Head head_at(const AttentionShape& s, int head) {
  const int64_t length = s.length, channels = s.channels();
  const auto columns = [&](int64_t width, int64_t begin) {
    return MatrixOperand{.leading_dimension = width, .begin = begin, .batch_stride = length * width};
  };
  const int64_t begin = int64_t{head} * s.head_dim, scores = length * length;
  return {.q = columns(3 * channels, begin),
          .k = columns(3 * channels, channels + begin),
          .v = columns(3 * channels, 2 * channels + begin),
          .y = columns(channels, begin),
          .scores = {.leading_dimension = length, .begin = head * scores, .batch_stride = s.heads * scores}};
}

MatrixOperand transposed(MatrixOperand operand) {
  operand.transpose = Transpose::kYes;
  return operand;
}

// (L, L) from two (L, d): a b^T.
template <typename T>
MatrixProblem to_scores(const AttentionShape& s, const MatrixOperand& a, const MatrixOperand& b,
                        const Head& head) {
  return {.m = s.length,
          .n = s.length,
          .k = s.head_dim,
          .a = a,
          .b = transposed(b),
          .d = head.scores,
          .batch = s.n,
          .input = kType<T>,
          .output = kType<T>};
}

// (L, d) from (L, L) and (L, d): scores b.
template <typename T>
MatrixProblem from_scores(const AttentionShape& s, const MatrixOperand& scores, const MatrixOperand& b,
                          const MatrixOperand& d) {
  return {.m = s.length,
          .n = s.head_dim,
          .k = s.length,
          .a = scores,
          .b = b,
          .d = d,
          .batch = s.n,
          .input = kType<T>,
          .output = kType<T>};
}

SoftmaxShape softmax_of(const AttentionShape& s) {
  return {.rows = int64_t{s.n} * s.heads * s.length,
          .length = s.length,
          .scale = 1 / std::sqrt(static_cast<double>(s.head_dim))};
}

}  // namespace

template <typename T>
void attention(ProductSteps& steps, const AttentionShape& s, const AttentionArgs<T>& args) {
  for (int j = 0; j < s.heads; ++j) {
    const Head head = head_at(s, j);
    steps.matrix_product(to_scores<T>(s, head.q, head.k, head),
                         {.a = args.qkv, .b = args.qkv, .d = args.probabilities});
  }
  steps.kernel(bytes_of<T>(s.score_elements(), 2), [&](StreamView stream) {
    cuda::softmax<T>(softmax_of(s), {.x = args.probabilities, .p = args.probabilities}, stream);
  });
  for (int j = 0; j < s.heads; ++j) {
    const Head head = head_at(s, j);
    steps.matrix_product(from_scores<T>(s, head.scores, head.v, head.y),
                         {.a = args.probabilities, .b = args.qkv, .d = args.y});
  }
}

template <typename T>
void attention_backward(ProductSteps& steps, const AttentionShape& s, const AttentionBackwardArgs<T>& args) {
  for (int j = 0; j < s.heads; ++j) {
    const Head head = head_at(s, j);
    steps.matrix_product(to_scores<T>(s, head.y, head.v, head),
                         {.a = args.dy, .b = args.qkv, .d = args.dscores});
    steps.matrix_product(from_scores<T>(s, transposed(head.scores), head.y, head.v),
                         {.a = args.probabilities, .b = args.dy, .d = args.dqkv});
  }
  steps.kernel(bytes_of<T>(s.score_elements(), 3), [&](StreamView stream) {
    cuda::softmax_backward<T>(softmax_of(s),
                              {.p = args.probabilities, .dp = args.dscores, .dx = args.dscores}, stream);
  });
  for (int j = 0; j < s.heads; ++j) {
    const Head head = head_at(s, j);
    steps.matrix_product(from_scores<T>(s, head.scores, head.k, head.q),
                         {.a = args.dscores, .b = args.qkv, .d = args.dqkv});
    steps.matrix_product(from_scores<T>(s, transposed(head.scores), head.q, head.k),
                         {.a = args.dscores, .b = args.qkv, .d = args.dqkv});
  }
}

template void attention(ProductSteps&, const AttentionShape&, const AttentionArgs<float>&);
template void attention(ProductSteps&, const AttentionShape&, const AttentionArgs<BFloat16>&);
template void attention_backward(ProductSteps&, const AttentionShape&, const AttentionBackwardArgs<float>&);
template void attention_backward(ProductSteps&, const AttentionShape&,
                                 const AttentionBackwardArgs<BFloat16>&);

}  // namespace ddpm::composed
