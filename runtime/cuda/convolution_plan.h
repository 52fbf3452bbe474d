// Convolutions through cuDNN: which ways there are to compute one (plans), and how one is run. Which one is
// fastest has to be measured on the GPU. Depends on kernels/conv2d.h and runtime/cuda/cudnn_descriptor.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "runtime/cuda/cudnn_descriptor.h"

namespace ddpm {

enum class ConvolutionDirection : uint8_t {
  kForward,         // y from x, w
  kBackwardData,    // x from y, w
  kBackwardWeight,  // w from x, y
};

enum class ConvolutionType : uint8_t { kFloat, kBfloat16 };  // of x, w and y; sums are float either way

// What distinguishes two convolutions for cuDNN. The filter must be whole (shape.weight_channels == shape.c).
struct ConvolutionProblem {
  Conv2dShape shape;
  ConvolutionDirection direction = ConvolutionDirection::kForward;
  ConvolutionType type = ConvolutionType::kBfloat16;
  bool accumulate = false;  // the result is added to what the output holds

  bool operator==(const ConvolutionProblem&) const = default;
};

// "backward_data bf16 128x32x32x256 -> 16x16x256 3x3 stride 2 pad 0,1 accumulate": for errors, caches and
// tables.
std::string to_string(const ConvolutionProblem& problem);

// The GPU that plans are made for: one that is there, or a description of one that is not, so that plans can
// be built, though not run, on any machine.
class CudnnDevice {
 public:
  static CudnnDevice present(cudnnHandle_t handle);
  // The JSON text of CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION.
  static CudnnDevice described(const std::string& json);

  // The JSON description of this device: what described() takes.
  std::string json() const;
  const CudnnDescriptor& properties() const { return properties_; }

 private:
  explicit CudnnDevice(CudnnDescriptor properties) : properties_(std::move(properties)) {}
  CudnnDescriptor properties_;
};

struct PlanLimits {
  int64_t workspace_bytes = int64_t{128} << 20;
  // Plans that may differ in the last bits from run to run (floating-point atomics).
  enum class Nondeterminism : uint8_t { kRefused, kAllowed } nondeterminism = Nondeterminism::kRefused;
};

// One way to compute a convolution.
class ConvolutionPlan {
 public:
  // cuDNN's name of engine and knobs; the same text is the same way under one version of cuDNN.
  const std::string& tag() const { return tag_; }
  int64_t workspace_bytes() const { return workspace_bytes_; }

  // Asynchronous on the handle's stream. x (N,H,W,C), w (K,R,R,C), y (N,P,Q,K); the direction says which is
  // written. workspace holds workspace_bytes(). Only for plans made for a device that is present.
  void run(cudnnHandle_t handle, const void* x, const void* w, const void* y, void* workspace) const;

 private:
  friend std::vector<ConvolutionPlan> convolution_plans(const CudnnDevice&, const ConvolutionProblem&,
                                                        const PlanLimits&);
  ConvolutionPlan(std::shared_ptr<const CudnnDescriptor> graph, CudnnDescriptor plan, std::string tag,
                  int64_t bytes);

  std::shared_ptr<const CudnnDescriptor> graph_;  // plans of one problem share their graph
  CudnnDescriptor plan_;
  std::string tag_;
  int64_t workspace_bytes_;
};

// All plans within the limits that cuDNN's heuristics (modes A and B, then the fallback list) propose and
// that can be built, the most promising first, each tag once. Empty where there is none. Float problems get
// no plan that rounds its inputs (TF32).
std::vector<ConvolutionPlan> convolution_plans(const CudnnDevice& device, const ConvolutionProblem& problem,
                                               const PlanLimits& limits = {});

}  // namespace ddpm
