#include "bench/kernels/naive_group_norm.h"

#include "device/launch.h"
#include "device/reduce.h"
#include "device/shared_memory.h"

namespace ddpm::naive {
namespace {

constexpr int kThreads = 256;

struct Shared {
  BlockReduceScratch<FloatPair> scratch;
};

// The statistics of a group, one block each.
struct Group {
  int pixels, channels, width;
  __device__ int count() const { return pixels * width; }
  __device__ int64_t index(int i) const {
    return (static_cast<int64_t>(blockIdx.y) * pixels + i / width) * channels + channel(i);
  }
  __device__ int channel(int i) const { return static_cast<int>(blockIdx.x) * width + i % width; }
};

__device__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// Reads x three times: mean, squared deviations, result.
__global__ void group_norm_kernel(Group group, float eps, GroupNormArgs<BFloat16, float> args) {
  Shared& shared = block_shared<Shared>();
  const int first = static_cast<int>(threadIdx.x);
  const float count = static_cast<float>(group.count());
  float sum = 0;
  for (int i = first; i < group.count(); i += kThreads) sum += to_float(args.x[group.index(i)]);
  const float mean = block_reduce(FloatPair{sum, 0}, Sum{}, shared.scratch).first / count;
  float squares = 0;
  for (int i = first; i < group.count(); i += kThreads) {
    const float centred = to_float(args.x[group.index(i)]) - mean;
    squares += centred * centred;
  }
  const float rstd = rsqrtf(block_reduce(FloatPair{squares, 0}, Sum{}, shared.scratch).first / count + eps);
  for (int i = first; i < group.count(); i += kThreads) {
    const int c = group.channel(i);
    const float w = (to_float(args.x[group.index(i)]) - mean) * rstd * args.gamma[c] + args.beta[c];
    args.y[group.index(i)] = from_float<BFloat16>(w * sigmoid(w));
  }
  if (first == 0) args.mean[blockIdx.y * gridDim.x + blockIdx.x] = mean;
  if (first == 0) args.rstd[blockIdx.y * gridDim.x + blockIdx.x] = rstd;
}

struct Gradient {
  float xhat;
  float dxhat;
};

__device__ Gradient gradient(const Group& group, const GroupNormBackwardArgs<BFloat16, float>& args, int i,
                             float mean, float rstd) {
  const int c = group.channel(i);
  const float xhat = (to_float(args.x[group.index(i)]) - mean) * rstd;
  const float w = xhat * args.gamma[c] + args.beta[c];
  const float s = sigmoid(w);
  return {xhat, to_float(args.dy[group.index(i)]) * s * (1.0f + w * (1.0f - s)) * args.gamma[c]};
}

// Reads x and dy twice: two sums, result.
__global__ void group_norm_backward_kernel(Group group, GroupNormBackwardArgs<BFloat16, float> args) {
  Shared& shared = block_shared<Shared>();
  const int first = static_cast<int>(threadIdx.x);
  const float count = static_cast<float>(group.count());
  const float mean = args.mean[blockIdx.y * gridDim.x + blockIdx.x];
  const float rstd = args.rstd[blockIdx.y * gridDim.x + blockIdx.x];
  FloatPair sums{0, 0};
  for (int i = first; i < group.count(); i += kThreads) {
    const Gradient g = gradient(group, args, i, mean, rstd);
    sums.first += g.dxhat;
    sums.second += g.dxhat * g.xhat;
  }
  sums = block_reduce(sums, Sum{}, shared.scratch);
  for (int i = first; i < group.count(); i += kThreads) {
    const Gradient g = gradient(group, args, i, mean, rstd);
    const float dx = rstd * (g.dxhat - sums.first / count - g.xhat * sums.second / count);
    args.dx[group.index(i)] = from_float<BFloat16>(dx);
  }
}

Group group_of(const GroupNormParams& params) {
  return {params.pixels, params.channels(), params.channels_per_group()};
}

}  // namespace

void group_norm(const GroupNormParams& params, const GroupNormArgs<BFloat16, float>& args,
                StreamView stream) {
  launch(group_norm_kernel, {.grid = {params.groups, params.n}, .block = kThreads, .stream = stream},
         group_of(params), static_cast<float>(params.eps), args);
}

void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<BFloat16, float>& args,
                         StreamView stream) {
  launch(group_norm_backward_kernel, {.grid = {params.groups, params.n}, .block = kThreads, .stream = stream},
         group_of(params), args);
}

}  // namespace ddpm::naive
