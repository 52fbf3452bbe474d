#include "runtime/library/result_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "device/bfloat16.h"
#include "kernels/cuda/kernels.h"

namespace ddpm {
namespace {

constexpr int64_t kMostSamples = 4096;
constexpr int64_t kLeastSamples = 256;
// Limit for the terms in all samples of a problem, so that the longest sums (weight gradients) take no more
// than a few milliseconds on a GPU.
constexpr int64_t kMostTerms = int64_t{1} << 29;

int64_t samples_of(int64_t terms) {
  return std::clamp(kMostTerms / std::max<int64_t>(terms, 1), kLeastSamples, kMostSamples);
}

double roundoff(ElementType type) { return type == ElementType::kFloat ? 0x1p-24 : 0x1p-8; }

// A step of SplitMix64 (Steele, Lea & Flood 2014).
uint64_t next_random(uint64_t& state) {
  state += 0x9E3779B97F4A7C15u;
  uint64_t bits = state;
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
  return bits ^ (bits >> 31);
}

// With probability 1/2 one of the ends, otherwise uniform over the extent, ends included.
int64_t drawn_coordinate(int64_t extent, uint64_t& state) {
  const uint64_t bits = next_random(state);
  if (bits % 4 == 0) return 0;
  if (bits % 4 == 1) return extent - 1;
  return static_cast<int64_t>((bits >> 2) % static_cast<uint64_t>(extent));
}

Conv2dPass pass_of(ConvolutionDirection direction) {
  switch (direction) {
    case ConvolutionDirection::kForward:
      return Conv2dPass::kForward;
    case ConvolutionDirection::kBackwardData:
      return Conv2dPass::kBackwardData;
    case ConvolutionDirection::kBackwardWeight:
      break;
  }
  return Conv2dPass::kBackwardWeight;
}

// The computed tensor: its address, extents, and terms per element.
struct ConvolutionOutput {
  const void* data;
  std::vector<int64_t> extents;
  int64_t terms;
};

ConvolutionOutput output_of(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) {
  const Conv2dShape& s = problem.shape;
  const int64_t taps = int64_t{s.filter} * s.filter;
  switch (problem.direction) {
    case ConvolutionDirection::kForward:
      return {tensors.y, {s.n, s.p(), s.q(), s.k}, taps * s.c};
    case ConvolutionDirection::kBackwardData:
      return {tensors.x, {s.n, s.h, s.w, s.c}, taps * s.k};
    case ConvolutionDirection::kBackwardWeight:
      break;
  }
  return {tensors.w, {s.k, s.filter, s.filter, s.c}, int64_t{s.n} * s.p() * s.q()};
}

int64_t elements_of(const std::vector<int64_t>& extents) {
  return std::accumulate(extents.begin(), extents.end(), int64_t{1}, std::multiplies<>());
}

template <typename T>
void sample_convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                        const void* added, int64_t count, const int64_t* elements, SampledElement* samples,
                        StreamView stream) {
  cuda::sample_conv2d<T>(problem.shape, pass_of(problem.direction),
                         {.x = static_cast<const T*>(tensors.x),
                          .weight = static_cast<const T*>(tensors.w),
                          .y = static_cast<const T*>(tensors.y),
                          .added = static_cast<const T*>(added),
                          .bias = problem.bias ? static_cast<const T*>(tensors.bias) : nullptr},
                         count, elements, samples, stream);
}

MatrixLayout layout_of(const GemmOperand& operand) {
  const bool transposed = operand.transpose == Transpose::kYes;
  return {.begin = operand.begin,
          .batch_stride = operand.batch_stride,
          .row_stride = transposed ? 1 : operand.leading_dimension,
          .column_stride = transposed ? operand.leading_dimension : 1};
}

template <typename From, typename To>
void sample_matrix(const GemmProblem& p, const GemmTensors& tensors, int64_t count, const int64_t* elements,
                   SampledElement* samples, StreamView stream) {
  cuda::sample_gemm<From, To>({.m = p.m,
                               .n = p.n,
                               .k = p.k,
                               .batch = p.batch,
                               .a = layout_of(p.a),
                               .b = layout_of(p.b),
                               .c = layout_of(p.d),
                               .alpha = p.alpha,
                               .beta = p.beta},
                              {.a = static_cast<const From*>(tensors.a),
                               .b = static_cast<const From*>(tensors.b),
                               .c = p.beta == 0 ? nullptr : static_cast<const To*>(tensors.c),
                               .bias = p.bias ? static_cast<const To*>(tensors.bias) : nullptr},
                              count, elements, samples, stream);
}

// The offsets in d of elements of (batch, m, n).
std::vector<int64_t> offsets_of(const GemmProblem& p, const std::vector<int64_t>& elements) {
  std::vector<int64_t> offsets;
  offsets.reserve(elements.size());
  for (const int64_t element : elements)
    offsets.push_back(p.d.begin + element / (p.m * p.n) * p.d.batch_stride +
                      element / p.n % p.m * p.d.leading_dimension + element % p.n);
  return offsets;
}

// From the start of d to its last element, including the gaps between rows: a plan must leave them alone, or
// at least change them the same way in both runs.
int64_t output_bytes(const GemmProblem& p) {
  const int64_t elements =
      p.d.begin + (p.batch - 1) * p.d.batch_stride + (p.m - 1) * p.d.leading_dimension + p.n;
  return elements * element_bytes(p.output);
}

}  // namespace

std::vector<int64_t> sampled_elements(std::span<const int64_t> extents, int64_t most) {
  const int64_t count = std::accumulate(extents.begin(), extents.end(), int64_t{1}, std::multiplies<>());
  std::vector<int64_t> elements;
  if (count <= most) {
    elements.resize(static_cast<size_t>(count));
    std::iota(elements.begin(), elements.end(), 0);
    return elements;
  }
  const auto index_of = [&](const auto& coordinate) {
    int64_t index = 0;
    for (size_t axis = 0; axis < extents.size(); ++axis) index = index * extents[axis] + coordinate(axis);
    return index;
  };
  const size_t corners = size_t{1} << extents.size();
  for (size_t corner = 0; corner < corners; ++corner)
    elements.push_back(
        index_of([&](size_t axis) { return (corner >> axis & 1) != 0 ? extents[axis] - 1 : 0; }));
  uint64_t state = 0;
  while (static_cast<int64_t>(elements.size()) < most)
    elements.push_back(index_of([&](size_t axis) { return drawn_coordinate(extents[axis], state); }));
  std::sort(elements.begin(), elements.end());
  elements.erase(std::unique(elements.begin(), elements.end()), elements.end());
  return elements;
}

double sample_bound(const SampledElement& expected, const SampleTolerance& tolerance) {
  constexpr double kLongestSum = 1 << 14;
  const double growth = 8 * std::sqrt(std::min(tolerance.terms, kLongestSum)) * 0x1p-24;
  return tolerance.storage_roundoff *
             (std::abs(expected.product + expected.added) + std::abs(expected.product)) +
         growth * (expected.magnitude + std::abs(expected.added));
}

std::optional<std::string> find_fault(const std::function<std::optional<PlanOutcome>()>& run,
                                      const std::vector<SampledElement>& expected,
                                      const SampleTolerance& tolerance) {
  const std::optional<PlanOutcome> first = run();
  if (!first) return "the library rejects it";
  for (size_t i = 0; i < expected.size(); ++i) {
    const double right = expected[i].product + expected[i].added,
                 bound = sample_bound(expected[i], tolerance);
    // Negated, so that NaN fails too.
    if (!(std::abs(first->samples.at(i) - right) <= bound))
      return fmt::format("sample {} of {}: expected {:.6g} +- {:.2g}, got {:.6g}", i + 1, expected.size(),
                         right, bound, first->samples[i]);
  }
  const std::optional<PlanOutcome> second = run();
  if (!second || second->fingerprint != first->fingerprint) return "two runs on the same inputs differ";
  return std::nullopt;
}

ResultCheck::ResultCheck(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                         StreamView stream)
    : stream_(stream), offsets_(0) {
  const ConvolutionOutput output = output_of(problem, tensors);
  output_ = {output.data, elements_of(output.extents) * element_bytes(problem.type), problem.type};
  tolerance_ = {.terms = static_cast<double>(output.terms), .storage_roundoff = roundoff(problem.type)};
  const void* added = problem.residual ? tensors.residual : problem.accumulate ? output.data : nullptr;
  const std::vector<int64_t> elements = sampled_elements(output.extents, samples_of(output.terms));
  take_samples(elements, elements, [&](int64_t count, const int64_t* of, SampledElement* samples) {
    const auto compute =
        problem.type == ElementType::kFloat ? sample_convolution<float> : sample_convolution<BFloat16>;
    compute(problem, tensors, added, count, of, samples, stream_);
  });
}

ResultCheck::ResultCheck(const GemmProblem& problem, const GemmTensors& tensors, StreamView stream)
    : stream_(stream),
      output_{tensors.d, output_bytes(problem), problem.output},
      tolerance_{.terms = static_cast<double>(problem.k), .storage_roundoff = roundoff(problem.output)},
      offsets_(0) {
  const std::vector<int64_t> extents = {problem.batch, problem.m, problem.n};
  const std::vector<int64_t> elements = sampled_elements(extents, samples_of(problem.k));
  take_samples(elements, offsets_of(problem, elements),
               [&](int64_t count, const int64_t* of, SampledElement* samples) {
                 const bool from_float = problem.input == ElementType::kFloat;
                 const bool to_float = problem.output == ElementType::kFloat;
                 const auto compute = from_float ? sample_matrix<float, float>
                                      : to_float ? sample_matrix<BFloat16, float>
                                                 : sample_matrix<BFloat16, BFloat16>;
                 compute(problem, tensors, count, of, samples, stream_);
               });
}

void ResultCheck::take_samples(const std::vector<int64_t>& elements, const std::vector<int64_t>& offsets,
                               const Compute& compute) {
  const DeviceBuffer<int64_t> on_device(elements.size());
  copy_to_device<int64_t>(elements, on_device.span(), stream_);
  offsets_ = DeviceBuffer<int64_t>(offsets.size());
  copy_to_device<int64_t>(offsets, offsets_.span(), stream_);
  const DeviceBuffer<SampledElement> samples(elements.size());
  compute(static_cast<int64_t>(elements.size()), on_device.data(), samples.data());
  expected_.resize(elements.size());
  copy_to_host<SampledElement>(samples.span(), expected_, stream_);
  stream_.synchronize();
}

PlanOutcome ResultCheck::outcome() const {
  const auto count = static_cast<int64_t>(offsets_.size());
  const DeviceBuffer<double> gathered(offsets_.size());
  if (output_.type == ElementType::kFloat)
    cuda::gather(count, offsets_.data(), static_cast<const float*>(output_.data), gathered.data(), stream_);
  else
    cuda::gather(count, offsets_.data(), static_cast<const BFloat16*>(output_.data), gathered.data(),
                 stream_);
  const DeviceBuffer<uint64_t> on_device(static_cast<size_t>(cuda::fingerprint_parts(output_.bytes)));
  cuda::fingerprint(output_.bytes, output_.data, on_device.data(), stream_);
  PlanOutcome outcome{0, std::vector<double>(gathered.size())};
  std::vector<uint64_t> parts(on_device.size());
  copy_to_host<double>(gathered.span(), outcome.samples, stream_);
  copy_to_host<uint64_t>(on_device.span(), parts, stream_);
  stream_.synchronize();
  outcome.fingerprint = std::accumulate(parts.begin(), parts.end(), uint64_t{0});
  return outcome;
}

std::optional<std::string> ResultCheck::find_fault(const std::function<bool()>& run) const {
  return ddpm::find_fault([&] { return run() ? std::optional(outcome()) : std::nullopt; }, expected_,
                          tolerance_);
}

}  // namespace ddpm
