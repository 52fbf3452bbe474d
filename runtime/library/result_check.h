// Checks a plan's results: two runs must agree bit for bit, and up to a few thousand sampled elements must
// match plain kernels of ours.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/memory.h"
#include "device/stream.h"
#include "kernels/sampled_elements.h"
#include "runtime/library/vendor_library.h"

namespace ddpm {

// Indices into an array of these extents, at most `most`, without duplicates: all elements if there are no
// more than that. Otherwise every corner, and elements from a fixed sequence in which each coordinate is at
// its first or last place half of the time: tiled kernels tend to fail at the edges.
std::vector<int64_t> sampled_elements(std::span<const int64_t> extents, int64_t most);

// The tolerance of a library's result against a sample. The library multiplies exactly, adds in float, and
// rounds to the storage type at most twice, if it stores the sum before adding the rest:
//
//   storage_roundoff (|product + added| + |product|) + 8 sqrt(terms) 2^-24 (magnitude + |added|)
//
// The second part is that of runtime/report/operation_comparison.h: a sum of `terms` errs by about
// sqrt(terms) units (Higham & Mary 2019), and the largest of thousands of such errors by a few times that.
// Tensor cores truncate instead of rounding, so errors do not cancel; but they add 8 terms or more at a time,
// to partial sums no larger than sqrt(terms) of them, while `magnitude` is the sum of all. No sum is longer
// than 2^14 before it is added to others, or than these 8 at a time.
struct SampleTolerance {
  double terms = 1;
  double storage_roundoff = 0x1p-8;
};
double sample_bound(const SampledElement& expected, const SampleTolerance& tolerance);

// The outcome of one run.
struct PlanOutcome {
  uint64_t fingerprint;         // of all of the output's bits
  std::vector<double> samples;  // at the elements of `expected`
};

// Calls run() twice; it returns none if the library rejects the plan. Returns what is wrong, or none if the
// outcomes agree and are within the bound.
std::optional<std::string> find_fault(const std::function<std::optional<PlanOutcome>()>& run,
                                      const std::vector<SampledElement>& expected,
                                      const SampleTolerance& tolerance);

class ResultCheck {
 public:
  // The tensors hold the inputs and, if the problem adds to its output, the output's old values. They must
  // outlive this object. Computes the samples at once.
  ResultCheck(const ConvolutionProblem& problem, const ConvolutionTensors& tensors, StreamView stream);
  ResultCheck(const GemmProblem& problem, const GemmTensors& tensors, StreamView stream);

  // run() restores the tensors and submits the computation to the stream; it returns false if the
  // library rejects the plan.
  std::optional<std::string> find_fault(const std::function<bool()>& run) const;

 private:
  struct Output {
    const void* data;
    int64_t bytes;
    ElementType type;
  };
  using Compute = std::function<void(int64_t count, const int64_t* elements, SampledElement* samples)>;

  // Computes the samples at `elements`; `offsets` are their places in the output.
  void take_samples(const std::vector<int64_t>& elements, const std::vector<int64_t>& offsets,
                    const Compute& compute);
  PlanOutcome outcome() const;

  StreamView stream_;
  Output output_;
  SampleTolerance tolerance_;
  DeviceBuffer<int64_t> offsets_;
  std::vector<SampledElement> expected_;
};

}  // namespace ddpm
