// Attention, for each image and head:
//   S = q k^T,   P = softmax(S / sqrt(d)) by rows,   y = P v,
// and backward
//   dP = dy v^T,   dS = softmax backward of dP,   dq = dS k,   dk = dS^T q,   dv = P^T dy.
//
// Parallel over images and heads.
#include <cmath>

#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

// A matrix (L, columns) inside an array, `stride` elements from row to row.
template <typename T>
struct Matrix {
  T* data;
  int64_t stride;

  T& operator()(int64_t row, int64_t column) const { return data[row * stride + column]; }
};

// The matrices of one head of one image: q, k, v (and their gradients) of qkv (N, L, 3C), y of (N, L, C), and
// L x L scores or probabilities of (N, heads, L, L).
struct Head {
  const AttentionShape& shape;
  int64_t image, head;

  template <typename T>
  Matrix<T> in_qkv(T* qkv, int part) const {
    const int64_t channels = shape.channels();
    return {qkv + image * shape.length * 3 * channels + part * channels + head * shape.head_dim,
            3 * channels};
  }
  template <typename T>
  Matrix<T> in_y(T* y) const {
    const int64_t channels = shape.channels();
    return {y + image * shape.length * channels + head * shape.head_dim, channels};
  }
  template <typename T>
  Matrix<T> scores(T* scores) const {
    return {scores + (image * shape.heads + head) * shape.length * shape.length, shape.length};
  }
};

template <typename Body>
void for_each_head(const AttentionShape& shape, const Body& body) {
  parallel_for(int64_t{shape.n} * shape.heads, [&](int64_t i) {
    body(Head{shape, i / shape.heads, i % shape.heads});
  });
}

SoftmaxParams softmax_of_scores(const AttentionShape& shape) {
  return {.rows = int64_t{shape.n} * shape.heads * shape.length,
          .length = shape.length,
          .scale = 1 / std::sqrt(double(shape.head_dim))};
}

}  // namespace

template <typename T>
void attention(const AttentionShape& shape, const AttentionArgs<T>& args) {
  const int length = shape.length, d = shape.head_dim;
  for_each_head(shape, [&](const Head& head) {
    const auto q = head.in_qkv(args.qkv, 0), k = head.in_qkv(args.qkv, 1);
    const auto s = head.scores(args.probabilities);
    for (int i = 0; i < length; ++i)
      for (int j = 0; j < length; ++j) {
        double sum = 0;
        for (int e = 0; e < d; ++e) sum += double(q(i, e)) * k(j, e);
        s(i, j) = T(sum);
      }
  });
  softmax<T>(softmax_of_scores(shape), {args.probabilities, args.probabilities});
  for_each_head(shape, [&](const Head& head) {
    const auto v = head.in_qkv(args.qkv, 2);
    const auto p = head.scores(args.probabilities);
    const auto y = head.in_y(args.y);
    for (int i = 0; i < length; ++i)
      for (int e = 0; e < d; ++e) {
        double sum = 0;
        for (int j = 0; j < length; ++j) sum += double(p(i, j)) * v(j, e);
        y(i, e) = T(sum);
      }
  });
}

template <typename T>
void attention_backward(const AttentionShape& shape, const AttentionBackwardArgs<T>& args) {
  const int length = shape.length, d = shape.head_dim;
  for_each_head(shape, [&](const Head& head) {
    const auto v = head.in_qkv(args.qkv, 2);
    const auto dy = head.in_y(args.dy);
    const auto dp = head.scores(args.dscores);
    for (int i = 0; i < length; ++i)
      for (int j = 0; j < length; ++j) {
        double sum = 0;
        for (int e = 0; e < d; ++e) sum += double(dy(i, e)) * v(j, e);
        dp(i, j) = T(sum);
      }
  });
  softmax_backward<T>(softmax_of_scores(shape), {args.probabilities, args.dscores, args.dscores});
  for_each_head(shape, [&](const Head& head) {
    const auto q = head.in_qkv(args.qkv, 0), k = head.in_qkv(args.qkv, 1);
    const auto dy = head.in_y(args.dy);
    const auto p = head.scores(args.probabilities), ds = head.scores<const T>(args.dscores);
    const auto dq = head.in_qkv(args.dqkv, 0), dk = head.in_qkv(args.dqkv, 1), dv = head.in_qkv(args.dqkv, 2);
    for (int i = 0; i < length; ++i)
      for (int e = 0; e < d; ++e) {
        double dq_sum = 0, dk_sum = 0, dv_sum = 0;
        for (int j = 0; j < length; ++j) {
          dq_sum += double(ds(i, j)) * k(j, e);
          dk_sum += double(ds(j, i)) * q(j, e);
          dv_sum += double(p(j, i)) * dy(j, e);
        }
        dq(i, e) = T(dq_sum);
        dk(i, e) = T(dk_sum);
        dv(i, e) = T(dv_sum);
      }
  });
}

template void attention(const AttentionShape&, const AttentionArgs<float>&);
template void attention(const AttentionShape&, const AttentionArgs<double>&);
template void attention_backward(const AttentionShape&, const AttentionBackwardArgs<float>&);
template void attention_backward(const AttentionShape&, const AttentionBackwardArgs<double>&);

}  // namespace ddpm::reference
