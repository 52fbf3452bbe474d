// Attention, for each image and head: S = q k^T / sqrt(d), P = softmax of S's rows, y = P v, and backward
//   dP = dy v^T,  dS[i,j] = P[i,j] (dP[i,j] - sum over m of P[i,m] dP[i,m]),
//   dq = dS k / sqrt(d),  dk = dS^T q / sqrt(d),  dv = P^T dy.
//
// Forward, and the first backward pass (dS, dq), are parallel over rows i of all images and heads; the second
// backward pass (dk, dv) over the columns j, because its sums run over rows.
#include <algorithm>
#include <cmath>

#include "kernels/reference/reference.h"
#include "kernels/reference/softmax_row.h"
#include "kernels/reference/vector.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

// Where things lie for one position (row or column) of one image's head.
struct Position {
  int64_t matrix;  // the start of this head's (L, L) matrix
  int64_t index;   // the position, 0..L-1
  int64_t qkv;     // position 0's q of this head; the positions are 3C apart, k and v lie C and 2C behind q
  int64_t y;       // position 0's y of this head; the positions are C apart
};

Position position_of(const AttentionShape& shape, int64_t flat) {
  const int64_t length = shape.length;
  const int64_t image = flat / (length * shape.heads);
  const int64_t head = flat / length % shape.heads;
  const int64_t channels = shape.channels();
  return {.matrix = (image * shape.heads + head) * length * length,
          .index = flat % length,
          .qkv = image * length * 3 * channels + head * shape.head_dim,
          .y = image * length * channels + head * shape.head_dim};
}

}  // namespace

template <typename T>
void attention(const AttentionShape& shape, const AttentionArgs<T>& args) {
  const int64_t channels = shape.channels();
  const int d = shape.head_dim;
  const T scale = T(1 / std::sqrt(double(d)));
  parallel_for(int64_t{shape.n} * shape.heads * shape.length, [&](int64_t flat) {
    const Position at = position_of(shape, flat);
    const T* q = args.qkv + at.qkv;
    const T* k = q + channels;
    const T* v = k + channels;
    T* row = args.probabilities + at.matrix + at.index * shape.length;
    for (int64_t j = 0; j < shape.length; ++j)
      row[j] = dot(d, q + at.index * 3 * channels, k + j * 3 * channels);
    softmax_row(shape.length, scale, row, row);
    T* y = args.y + at.y + at.index * channels;
    std::fill(y, y + d, T{0});
    for (int64_t j = 0; j < shape.length; ++j) add_scaled(d, row[j], v + j * 3 * channels, y);
  });
}

template <typename T>
void attention_backward(const AttentionShape& shape, const AttentionBackwardArgs<T>& args) {
  const int64_t channels = shape.channels(), length = shape.length;
  const int d = shape.head_dim;
  const T scale = T(1 / std::sqrt(double(d)));
  const int64_t positions = int64_t{shape.n} * shape.heads * length;

  parallel_for(positions, [&](int64_t flat) {
    const Position at = position_of(shape, flat);
    const T* k = args.qkv + at.qkv + channels;
    const T* v = k + channels;
    const T* dy = args.dy + at.y + at.index * channels;
    const T* p = args.probabilities + at.matrix + at.index * length;
    T* ds = args.dscores + at.matrix + at.index * length;
    for (int64_t j = 0; j < length; ++j) ds[j] = dot(d, dy, v + j * 3 * channels);
    softmax_row_backward(length, scale, p, ds, ds);
    T* dq = args.dqkv + at.qkv + at.index * 3 * channels;
    std::fill(dq, dq + d, T{0});
    for (int64_t j = 0; j < length; ++j) add_scaled(d, ds[j], k + j * 3 * channels, dq);
  });

  parallel_for(positions, [&](int64_t flat) {
    const Position at = position_of(shape, flat);
    const T* q = args.qkv + at.qkv;
    const T* dy = args.dy + at.y;
    const T* p = args.probabilities + at.matrix + at.index;
    const T* ds = args.dscores + at.matrix + at.index;
    T* dk = args.dqkv + at.qkv + at.index * 3 * channels + channels;
    T* dv = dk + channels;
    std::fill(dk, dk + d, T{0});
    std::fill(dv, dv + d, T{0});
    for (int64_t i = 0; i < length; ++i) {
      add_scaled(d, ds[i * length], q + i * 3 * channels, dk);
      add_scaled(d, p[i * length], dy + i * channels, dv);
    }
  });
}

template void attention(const AttentionShape&, const AttentionArgs<float>&);
template void attention(const AttentionShape&, const AttentionArgs<double>&);
template void attention_backward(const AttentionShape&, const AttentionBackwardArgs<float>&);
template void attention_backward(const AttentionShape&, const AttentionBackwardArgs<double>&);

}  // namespace ddpm::reference
