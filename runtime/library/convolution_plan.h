// Convolutions through cuDNN: which ways there are to compute one (plans), and how one is run. Which one
// is fastest has to be measured on the GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/library/cudnn_descriptor.h"
#include "runtime/library/vendor_library.h"

namespace ddpm {

// The GPU that plans are made for: one that is there, or a description of one that is not, so that plans can
// be built, though not run, on any machine.
class CudnnDevice {
 public:
  // The handle outlives the plans made for it.
  static CudnnDevice present(cudnnHandle_t handle);
  // The JSON text of CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION.
  static CudnnDevice described(const std::string& json);

  // "NVIDIA H100 80GB HBM3 sm_90"
  std::string name() const;
  // The JSON description of this device: what described() takes.
  std::string json() const;

  // Which of cuDNN's two ways to name a device its descriptors are given: the handle of one that is present,
  // as PyTorch does by way of NVIDIA's front end; the properties of one that is described. Never both: the
  // front end sets the properties of a plan only where it has no handle (cudnn_frontend_ExecutionPlan.h,
  // loadFromJson).
  void name_in(CudnnDescriptor& descriptor, cudnnBackendAttributeName_t by_handle,
               cudnnBackendAttributeName_t by_properties) const;
  // The same for graphs, which know only handles, and heuristics, which know only properties: they take the
  // device that is present from their graph.
  void name_in_graph(CudnnDescriptor& graph) const;
  void name_in_heuristics(CudnnDescriptor& heuristics) const;

 private:
  CudnnDevice(CudnnDescriptor properties, cudnnHandle_t handle)
      : properties_(std::move(properties)), handle_(handle) {}
  CudnnDescriptor properties_;
  cudnnHandle_t handle_;  // null: described
};

// What cuDNN notes about an engine, as far as it decides on its use.
struct EngineNotes {
  bool compiled_when_built = false;  // takes seconds
  bool nondeterministic = false;
  bool tensor_cores = false;
};

// Float is the precision of validation: TF32, which rounds the inputs to 11 bits, is refused. cuDNN marks its
// engines by no more than that they use the tensor cores, which know no other way to take floats.
bool is_acceptable(const EngineNotes& notes, ElementType type, const PlanLimits& limits);

// One way to compute a convolution.
class ConvolutionPlan {
 public:
  // cuDNN's own description of problem, engine and knobs in JSON; the same text is the same way under one
  // version of cuDNN.
  const std::string& tag() const { return tag_; }
  // "cuDNN engine 62 (TILE_SIZE 5, STAGES 4)"
  std::string name() const;
  int64_t workspace_bytes() const { return workspace_bytes_; }

  // Asynchronous on the handle's stream. workspace holds workspace_bytes(). Only for plans made for a device
  // that is present.
  void run(cudnnHandle_t handle, const ConvolutionTensors& tensors, void* workspace) const;

 private:
  friend class ConvolutionProposals;
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

// The plans within the limits that cuDNN's heuristics (modes A and B, then the fallback list) propose and
// that can be built, the most promising first, each tag once. A mode is asked, and a plan built, when its
// turn comes. Float problems get no plan that rounds its inputs (TF32), and none gets one that is compiled
// when it is built, which takes seconds.
class ConvolutionProposals {
 public:
  // The device must outlive this object.
  ConvolutionProposals(const CudnnDevice& device, const ConvolutionProblem& problem,
                       const PlanLimits& limits = {});

  // None at the end.
  std::optional<ConvolutionPlan> next();
  // How many configurations of engines were looked at for the plans so far.
  int64_t considered() const { return considered_; }

 private:
  std::optional<ConvolutionPlan> built(const CudnnDescriptor& configuration);

  const CudnnDevice& device_;
  ConvolutionProblem problem_;
  PlanLimits limits_;
  std::shared_ptr<const CudnnDescriptor> graph_;
  std::vector<CudnnDescriptor> configurations_;  // of the mode that was asked last
  size_t next_configuration_ = 0, next_mode_ = 0;
  std::set<std::string> tags_;
  int64_t considered_ = 0;
};

// All of them.
std::vector<ConvolutionPlan> convolution_plans(const CudnnDevice& device, const ConvolutionProblem& problem,
                                               const PlanLimits& limits = {});

// The plan of that tag, in a hundredth of the time that finding it takes. None where the tag is no plan of
// this version of cuDNN, of another problem, or beyond the workspace's limit.
std::optional<ConvolutionPlan> restored_convolution_plan(const CudnnDevice& device,
                                                         const ConvolutionProblem& problem,
                                                         const std::string& tag,
                                                         const PlanLimits& limits = {});

}  // namespace ddpm
