// Convolutions through cuDNN: which ways there are to compute one (plans), and how one is run. Which one is
// fastest has to be measured on the GPU. Depends on runtime/cuda/cudnn_descriptor.h and
// runtime/products/primitives.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cuda/cudnn_descriptor.h"
#include "runtime/products/primitives.h"

namespace ddpm {

// The GPU that plans are made for: one that is there, or a description of one that is not, so that plans can
// be built, though not run, on any machine.
class CudnnDevice {
 public:
  static CudnnDevice present(cudnnHandle_t handle);
  // The JSON text of CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION.
  static CudnnDevice described(const std::string& json);

  // "NVIDIA H100 80GB HBM3 sm_90"
  std::string name() const;
  // The JSON description of this device: what described() takes.
  std::string json() const;
  const CudnnDescriptor& properties() const { return properties_; }

 private:
  explicit CudnnDevice(CudnnDescriptor properties) : properties_(std::move(properties)) {}
  CudnnDescriptor properties_;
};

// One way to compute a convolution.
class ConvolutionPlan {
 public:
  // cuDNN's own description of problem, engine and knobs in JSON; the same text is the same way under one
  // version of cuDNN.
  const std::string& tag() const { return tag_; }
  int64_t workspace_bytes() const { return workspace_bytes_; }

  // Asynchronous on the handle's stream. workspace holds workspace_bytes(). Only for plans made for a device
  // that is present.
  void run(cudnnHandle_t handle, const ConvolutionTensors& tensors, void* workspace) const;

 private:
  friend std::vector<ConvolutionPlan> convolution_plans(const CudnnDevice&, const ConvolutionProblem&,
                                                        const PlanLimits&);
  friend std::optional<ConvolutionPlan> restored_convolution_plan(const CudnnDevice&,
                                                                  const ConvolutionProblem&,
                                                                  const std::string&, const PlanLimits&);
  ConvolutionPlan(std::shared_ptr<const CudnnDescriptor> graph, CudnnDescriptor plan, std::string tag,
                  int64_t bytes);

  std::shared_ptr<const CudnnDescriptor> graph_;  // plans of one problem share their graph
  CudnnDescriptor plan_;
  std::string tag_;
  int64_t workspace_bytes_;
};

// All plans within the limits that cuDNN's heuristics (modes A and B, then the fallback list) propose and
// that can be built, the most promising first, each tag once. Empty where there is none. Float problems get
// no plan that rounds its inputs (TF32), and those with a bias none that is compiled when it is built, which
// takes seconds.
std::vector<ConvolutionPlan> convolution_plans(const CudnnDevice& device, const ConvolutionProblem& problem,
                                               const PlanLimits& limits = {});

// The plan of that tag, in a hundredth of the time that finding it takes. None where the tag is no plan of
// this version of cuDNN, of another problem, or beyond the workspace's limit.
std::optional<ConvolutionPlan> restored_convolution_plan(const CudnnDevice& device,
                                                         const ConvolutionProblem& problem,
                                                         const std::string& tag,
                                                         const PlanLimits& limits = {});

}  // namespace ddpm
