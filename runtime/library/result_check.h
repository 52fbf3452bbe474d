// Whether a plan computes the product that it is for: twice the same bits, and at some thousand elements
// what plain kernels of ours make of the same inputs.
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

// Indices into an array of these extents, at most `most`, each at least once: all of them where they are not
// more. Otherwise every corner, and elements drawn by a fixed rule that puts each coordinate at its first or
// its last place as often as between: what goes wrong in kernels of tiles goes wrong at their ends.
std::vector<int64_t> sampled_elements(std::span<const int64_t> extents, int64_t most);

// How far a library's result may be from a sample. It multiplies exactly and adds in float, and rounds to the
// storage's type at most twice, where it stores the product before it adds the rest:
//   storage_roundoff (|product + added| + |product|) + 8 sqrt(terms) 2^-24 (magnitude + |added|).
// The second part is that of runtime/report/operation_comparison.h: a sum of `terms` errs by about sqrt(terms) units
// (Higham & Mary 2019), the largest of thousands of such errors by some times as much. Tensor cores cut off
// instead of rounding, so that errors do not cancel; but they add 8 terms or more at a time, and to partial
// sums that are no larger than sqrt(terms) of them, where `magnitude` is all of them. No sum is longer than
// 2^14 before it is added to others, or these 8 at a time.
struct SampleTolerance {
  double terms = 1;
  double storage_roundoff = 0x1p-8;
};
double sample_bound(const SampledElement& expected, const SampleTolerance& tolerance);

// What came of one run.
struct PlanOutcome {
  uint64_t fingerprint;         // of all the output's bits
  std::vector<double> samples;  // the elements that are expected
};

// Calls run() twice, which returns none where the library refuses. None where the outcomes are alike and
// within the bound; or else what is wrong.
std::optional<std::string> find_fault(const std::function<std::optional<PlanOutcome>()>& run,
                                      const std::vector<SampledElement>& expected,
                                      const SampleTolerance& tolerance);

class ResultCheck {
 public:
  // The tensors hold the inputs and, where the product is added to something, the output as it is before.
  // They must outlive this object; computes the samples at once.
  ResultCheck(const ConvolutionProblem& problem, const ConvolutionTensors& tensors, StreamView stream);
  ResultCheck(const GemmProblem& problem, const GemmTensors& tensors, StreamView stream);

  // run() puts the tensors back to what they were and computes the product on the stream; false where the
  // library refuses.
  std::optional<std::string> find_fault(const std::function<bool()>& run) const;

 private:
  struct Output {
    const void* data;
    int64_t bytes;
    ElementType type;
  };
  using Compute = std::function<void(int64_t count, const int64_t* elements, SampledElement* samples)>;

  // The product's elements, and where they lie in its output.
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
