// cuDNN's plans for a convolution: how to list, restore and run them. Finding the fastest one
// takes measurements on the GPU.
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

// The GPU that plans are made for: one that is present, or the description of one that is not, for which
// plans can be built but not run.
class CudnnDevice {
 public:
  // The handle must outlive the plans made for it.
  static CudnnDevice present(cudnnHandle_t handle);
  // From the JSON text of CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION.
  static CudnnDevice described(const std::string& json);

  // "NVIDIA H100 80GB HBM3 sm_90"
  std::string name() const;
  // This device's JSON description, as described() takes it.
  std::string json() const;

  // Sets the device of a cuDNN descriptor in one of cuDNN's two ways: by handle for a present device, as
  // PyTorch does through NVIDIA's front end, or by properties for a described one. Never both: the front end
  // sets a plan's properties only if it has no handle (loadFromJson in cudnn_frontend_ExecutionPlan.h).
  void name_in(CudnnDescriptor& descriptor, cudnnBackendAttributeName_t by_handle,
               cudnnBackendAttributeName_t by_properties) const;
  // The same for graphs, which take only handles, and for heuristics, which take only properties and get a
  // present device from their graph.
  void name_in_graph(CudnnDescriptor& graph) const;
  void name_in_heuristics(CudnnDescriptor& heuristics) const;

 private:
  CudnnDevice(CudnnDescriptor properties, cudnnHandle_t handle)
      : properties_(std::move(properties)), handle_(handle) {}
  CudnnDescriptor properties_;
  cudnnHandle_t handle_;  // null: described
};

// Those of cuDNN's notes about an engine that decide on its use.
struct EngineNotes {
  bool compiled_when_built = false;  // by a runtime compiler, which takes seconds
  bool nondeterministic = false;
  bool tensor_cores = false;
};

// Float is the precision of validation, so TF32, which rounds inputs to 11 bits, is refused. cuDNN only notes
// that an engine uses tensor cores; for float inputs that means TF32.
bool is_acceptable(const EngineNotes& notes, ElementType type, const PlanLimits& limits);

// One way to compute a convolution.
class ConvolutionPlan {
 public:
  // cuDNN's JSON description of problem, engine and knobs; identifies a plan within a cuDNN version.
  const std::string& tag() const { return tag_; }
  // "cuDNN engine 62 (TILE_SIZE 5, STAGES 4)"
  std::string name() const;
  int64_t workspace_bytes() const { return workspace_bytes_; }

  // Asynchronous on the handle's stream. workspace holds workspace_bytes(). Requires a present device.
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
// that can be built, most promising first, without duplicates. Modes are queried and plans built one by one,
// by next(). Plans that round float inputs (TF32) or take a runtime compiler are left out.
class ConvolutionProposals {
 public:
  // The device must outlive this object.
  ConvolutionProposals(const CudnnDevice& device, const ConvolutionProblem& problem,
                       const PlanLimits& limits = {});

  // None at the end.
  std::optional<ConvolutionPlan> next();
  // How many engine configurations were considered so far.
  int64_t considered() const { return considered_; }

 private:
  std::optional<ConvolutionPlan> built(const CudnnDescriptor& configuration);

  const CudnnDevice& device_;
  ConvolutionProblem problem_;
  PlanLimits limits_;
  std::shared_ptr<const CudnnDescriptor> graph_;
  std::vector<CudnnDescriptor> configurations_;  // of the mode queried last
  size_t next_configuration_ = 0, next_mode_ = 0;
  std::set<std::string> tags_;
  int64_t considered_ = 0;
};

// All of these plans.
std::vector<ConvolutionPlan> convolution_plans(const CudnnDevice& device, const ConvolutionProblem& problem,
                                               const PlanLimits& limits = {});

// Restores a plan from its tag, in a hundredth of the time that finding it takes. None if the tag is not from
// this version of cuDNN, is for another problem, or exceeds the workspace limit.
std::optional<ConvolutionPlan> restored_convolution_plan(const CudnnDevice& device,
                                                         const ConvolutionProblem& problem,
                                                         const std::string& tag,
                                                         const PlanLimits& limits = {});

}  // namespace ddpm
