// Single elements of convolutions and GEMMs, one per block, and fingerprints of arrays. Speed matters little
// here: a few thousand elements are checked once for each plan that is chosen.
#include <algorithm>

#include "device/launch.h"
#include "device/shared_memory.h"
#include "kernels/cuda/kernels.h"

namespace ddpm::cuda {
namespace {

constexpr int kThreads = 128;

// Sum over the block, in a fixed order; only thread 0 has the result. All threads must call it.
template <typename T>
__device__ __forceinline__ T sum_of_block(T value, T (&scratch)[kThreads]) {
  scratch[threadIdx.x] = value;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
  }
  return threadIdx.x == 0 ? scratch[0] : T{};
}

struct Shared {
  double products[kThreads];
  double magnitudes[kThreads];
};

// The three passes of a convolution as sums: terms() counts the terms of an element, term() is one of them.
template <typename T>
struct Convolution {
  Convolution(const Conv2dShape& shape, const Conv2dSampleArgs<T>& arrays)
      : s(shape), args(arrays), p(shape.p()), q(shape.q()) {}

  // Whether the tap at that pixel of y lies inside the image, and where.
  __device__ bool meets(int row, int column, int tap, int& h, int& w) const {
    h = row * s.stride + tap / s.filter - s.pad_before;
    w = column * s.stride + tap % s.filter - s.pad_before;
    return h >= 0 && h < s.h && w >= 0 && w < s.w;
  }
  __device__ double x(int64_t n, int h, int w, int c) const {
    return to_float(args.x[((n * s.h + h) * s.w + w) * s.c + c]);
  }
  __device__ double weight(int64_t k, int tap, int c) const {
    return to_float(args.weight[(k * s.filter * s.filter + tap) * s.c + c]);
  }
  __device__ double y(int64_t n, int row, int column, int64_t k) const {
    return to_float(args.y[((n * p + row) * q + column) * s.k + k]);
  }
  __device__ double added(int64_t element) const {
    const double bias = args.bias == nullptr ? 0 : to_float(args.bias[element % s.k]);
    return bias + (args.added == nullptr ? 0 : to_float(args.added[element]));
  }

  Conv2dShape s;
  Conv2dSampleArgs<T> args;
  int p, q;
};

template <typename T>
struct ForwardTerms : Convolution<T> {
  using Convolution<T>::Convolution;
  using Convolution<T>::s;

  __device__ int64_t terms() const { return int64_t{s.filter} * s.filter * s.c; }
  __device__ double term(int64_t element, int64_t i) const {
    const int64_t pixel = element / s.k, k = element % s.k;
    const int column = static_cast<int>(pixel % this->q), row = static_cast<int>(pixel / this->q % this->p);
    const int tap = static_cast<int>(i / s.c), c = static_cast<int>(i % s.c);
    int h = 0, w = 0;
    if (!this->meets(row, column, tap, h, w)) return 0;
    return this->x(pixel / this->q / this->p, h, w, c) * this->weight(k, tap, c);
  }
};

template <typename T>
struct BackwardDataTerms : Convolution<T> {
  using Convolution<T>::Convolution;
  using Convolution<T>::s;

  __device__ int64_t terms() const { return int64_t{s.filter} * s.filter * s.k; }
  __device__ double term(int64_t element, int64_t i) const {
    const int64_t pixel = element / s.c, k = i % s.k;
    const int w = static_cast<int>(pixel % s.w), h = static_cast<int>(pixel / s.w % s.h);
    const int tap = static_cast<int>(i / s.k), c = static_cast<int>(element % s.c);
    const int row = h + s.pad_before - tap / s.filter, column = w + s.pad_before - tap % s.filter;
    if (row < 0 || row % s.stride != 0 || row / s.stride >= this->p) return 0;
    if (column < 0 || column % s.stride != 0 || column / s.stride >= this->q) return 0;
    return this->y(pixel / s.w / s.h, row / s.stride, column / s.stride, k) * this->weight(k, tap, c);
  }
};

template <typename T>
struct BackwardWeightTerms : Convolution<T> {
  using Convolution<T>::Convolution;
  using Convolution<T>::s;

  __device__ int64_t terms() const { return int64_t{s.n} * this->p * this->q; }
  __device__ double term(int64_t element, int64_t pixel) const {
    const int taps = s.filter * s.filter;
    const int c = static_cast<int>(element % s.c), tap = static_cast<int>(element / s.c % taps);
    const int column = static_cast<int>(pixel % this->q), row = static_cast<int>(pixel / this->q % this->p);
    const int64_t n = pixel / this->q / this->p;
    int h = 0, w = 0;
    if (!this->meets(row, column, tap, h, w)) return 0;
    return this->x(n, h, w, c) * this->y(n, row, column, element / s.c / taps);
  }
};

__device__ __forceinline__ int64_t offset_in(const MatrixLayout& layout, int64_t batch, int64_t row,
                                             int64_t column) {
  return layout.begin + batch * layout.batch_stride + row * layout.row_stride + column * layout.column_stride;
}

template <typename From, typename To>
struct MatrixTerms {
  GemmSampleParams s;
  GemmSampleArgs<From, To> args;

  __device__ int64_t terms() const { return s.k; }
  __device__ double term(int64_t element, int64_t l) const {
    const int64_t batch = element / s.n / s.m, i = element / s.n % s.m, j = element % s.n;
    return double(s.alpha) * to_float(args.a[offset_in(s.a, batch, i, l)]) *
           to_float(args.b[offset_in(s.b, batch, l, j)]);
  }
  __device__ double added(int64_t element) const {
    const int64_t batch = element / s.n / s.m, i = element / s.n % s.m, j = element % s.n;
    const double bias = args.bias == nullptr ? 0 : to_float(args.bias[j]);
    if (args.c == nullptr) return bias;
    return bias + double(s.beta) * to_float(args.c[offset_in(s.c, batch, i, j)]);
  }
};

// Math: the sum of an element's terms and the sum of their absolute values, in double.
// Threads: a block takes one element, its threads every 128th term.
// Shared: 2 doubles per thread.
// Traffic: both factors of every term, from L2 where elements share them. 3 FLOPs per term, and some 40
// on its indices.
// Preconditions: none on sizes.
template <typename Terms>
__global__ void __launch_bounds__(kThreads)
    sample_kernel(Terms of, const int64_t* __restrict__ elements, SampledElement* __restrict__ samples) {
  Shared& shared = block_shared<Shared>();
  const int64_t element = elements[blockIdx.x];
  double product = 0, magnitude = 0;
  for (int64_t i = threadIdx.x; i < of.terms(); i += kThreads) {
    const double term = of.term(element, i);
    product += term;
    magnitude += term < 0 ? -term : term;
  }
  product = sum_of_block(product, shared.products);
  magnitude = sum_of_block(magnitude, shared.magnitudes);
  if (threadIdx.x == 0) samples[blockIdx.x] = {product, magnitude, of.added(element)};
}

template <typename Terms>
void launch_samples(const Terms& of, int64_t count, const int64_t* elements, SampledElement* samples,
                    StreamView stream) {
  if (count > 0)
    launch(sample_kernel<Terms>, {.grid = count, .block = kThreads, .stream = stream}, of, elements, samples);
}

// Math: values[i] = from[offsets[i]].
// Threads: one per value.
// Shared: none.
// Preconditions: none.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(int64_t count, const int64_t* __restrict__ offsets, const T* __restrict__ from,
                  double* __restrict__ values) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) values[i] = to_float(from[offsets[i]]);
}

// The finalizer of SplitMix64 (Steele, Lea & Flood 2014): a bijection in which every input bit flips half of
// the output bits.
__device__ __forceinline__ uint64_t mixed(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
  return bits ^ (bits >> 31);
}

struct FingerprintShared {
  uint64_t sums[kThreads];
};

// Math: the sum of mixed(mixed(index) + word) over 4-byte words, mod 2^64, which does not depend
// on the order.
// Threads: each takes every (blocks * threads)-th word; the first one also takes the last bytes.
// Shared: 8 bytes per thread.
// Traffic: the array once.
// Preconditions: 4-byte aligned.
__global__ void __launch_bounds__(kThreads)
    fingerprint_kernel(int64_t bytes, const void* __restrict__ array, uint64_t* __restrict__ parts) {
  FingerprintShared& shared = block_shared<FingerprintShared>();
  const auto* words = static_cast<const uint32_t*>(array);
  const int64_t count = bytes / 4, first = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  uint64_t sum = 0;
  for (int64_t i = first; i < count; i += static_cast<int64_t>(gridDim.x) * kThreads)
    sum += mixed(mixed(static_cast<uint64_t>(i)) + words[i]);
  if (first == 0) {
    uint64_t rest = 0;
    for (int64_t i = 4 * count; i < bytes; ++i) rest = rest << 8 | static_cast<const uint8_t*>(array)[i];
    sum += mixed(mixed(static_cast<uint64_t>(count)) + rest);
  }
  sum = sum_of_block(sum, shared.sums);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

}  // namespace

template <typename T>
void sample_conv2d(const Conv2dShape& shape, Conv2dPass pass, const Conv2dSampleArgs<T>& args, int64_t count,
                   const int64_t* elements, SampledElement* samples, StreamView stream) {
  switch (pass) {
    case Conv2dPass::kForward:
      return launch_samples(ForwardTerms<T>(shape, args), count, elements, samples, stream);
    case Conv2dPass::kBackwardData:
      return launch_samples(BackwardDataTerms<T>(shape, args), count, elements, samples, stream);
    case Conv2dPass::kBackwardWeight:
      return launch_samples(BackwardWeightTerms<T>(shape, args), count, elements, samples, stream);
  }
}

template <typename From, typename To>
void sample_gemm(const GemmSampleParams& shape, const GemmSampleArgs<From, To>& args, int64_t count,
                 const int64_t* elements, SampledElement* samples, StreamView stream) {
  launch_samples(MatrixTerms<From, To>{shape, args}, count, elements, samples, stream);
}

template <typename T>
void gather(int64_t count, const int64_t* offsets, const T* from, double* values, StreamView stream) {
  if (count > 0)
    launch(gather_kernel<T>, {.grid = ceil_div(count, kThreads), .block = kThreads, .stream = stream}, count,
           offsets, from, values);
}

int64_t fingerprint_parts(int64_t bytes) {
  constexpr int64_t kMostParts = 1024, kBytesOfPart = int64_t{16} * 4 * kThreads;
  return std::clamp<int64_t>(ceil_div(bytes, kBytesOfPart), 1, kMostParts);
}

void fingerprint(int64_t bytes, const void* array, uint64_t* parts, StreamView stream) {
  launch(fingerprint_kernel, {.grid = fingerprint_parts(bytes), .block = kThreads, .stream = stream}, bytes,
         array, parts);
}

template void sample_conv2d(const Conv2dShape&, Conv2dPass, const Conv2dSampleArgs<float>&, int64_t,
                            const int64_t*, SampledElement*, StreamView);
template void sample_conv2d(const Conv2dShape&, Conv2dPass, const Conv2dSampleArgs<BFloat16>&, int64_t,
                            const int64_t*, SampledElement*, StreamView);
template void sample_gemm(const GemmSampleParams&, const GemmSampleArgs<float, float>&, int64_t,
                          const int64_t*, SampledElement*, StreamView);
template void sample_gemm(const GemmSampleParams&, const GemmSampleArgs<BFloat16, BFloat16>&, int64_t,
                          const int64_t*, SampledElement*, StreamView);
template void sample_gemm(const GemmSampleParams&, const GemmSampleArgs<BFloat16, float>&, int64_t,
                          const int64_t*, SampledElement*, StreamView);
template void gather(int64_t, const int64_t*, const float*, double*, StreamView);
template void gather(int64_t, const int64_t*, const BFloat16*, double*, StreamView);

}  // namespace ddpm::cuda
