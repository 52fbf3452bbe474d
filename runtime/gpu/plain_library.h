// The vendor library of the emulated GPU: plain loops in double, rounded once on store.
#pragma once

#include <cstdint>

#include "runtime/library/vendor_library.h"

namespace ddpm {

// Which optional fusions fuses() reports as supported.
enum class Fusion : uint8_t { kNone, kAll };

// LogicError for a problem that it was not prepared for, or a tensor that is not aligned.
class PlainLibrary final : public VendorLibrary {
 public:
  explicit PlainLibrary(Fusion fusion = Fusion::kAll) : fusion_(fusion) {}

  void prepare(const LibraryProblems& problems, StreamView stream) override;
  bool fuses(const ConvolutionProblem&) const override { return fusion_ == Fusion::kAll; }
  bool fuses(const GemmProblem&) const override { return fusion_ == Fusion::kAll; }
  LaunchFunction bind(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) override;
  LaunchFunction bind(const GemmProblem& problem, const GemmTensors& tensors) override;

 private:
  Fusion fusion_;
  LibraryProblems prepared_;
};

}  // namespace ddpm
