#include "runtime/library/convolution_plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace ddpm {
namespace {

// Our ids of the tensors in cuDNN's graphs and variant packs.
constexpr int64_t kX = 1, kW = 2, kY = 3, kBias = 4, kResidual = 5;
// Ids of intermediate results within a graph, which are never stored.
constexpr int64_t kConvolved = 6, kSum = 7;
// Limit for the candidates of a heuristic mode; none was seen to have as many.
constexpr int64_t kMostCandidates = 100;
// Vector loads need this alignment; Program's arenas and parameters have it.
constexpr int64_t kByteAlignment = 16;

cudnnDataType_t data_type(ElementType type) {
  return type == ElementType::kFloat ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16;
}

// cuDNN takes dimensions in the order (N, C, H, W); the strides make channels innermost.
CudnnDescriptor tensor(int64_t id, ElementType type, int64_t n, int64_t c, int64_t h, int64_t w) {
  const bool is_virtual = id >= kConvolved;
  CudnnDescriptor made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  made.set(CUDNN_ATTR_TENSOR_DATA_TYPE, data_type(type));
  made.set(CUDNN_ATTR_TENSOR_DIMENSIONS, {n, c, h, w});
  made.set(CUDNN_ATTR_TENSOR_STRIDES, {h * w * c, 1, w * c, c});
  made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  made.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kByteAlignment);
  made.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, &is_virtual, 1);
  made.finalize();
  return made;
}

CudnnDescriptor convolution(const Conv2dShape& shape) {
  CudnnDescriptor made(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  const int64_t stride = shape.stride, before = shape.pad_before, after = shape.pad_after;
  made.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2});
  made.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  made.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, &mode, 1);
  made.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {before, before});
  made.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {after, after});
  made.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {1, 1});
  made.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {stride, stride});
  made.finalize();
  return made;
}

// The attributes that mean the same in each direction's operation.
struct DirectionNames {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
};

DirectionNames names_of(ConvolutionDirection direction) {
  switch (direction) {
    case ConvolutionDirection::kForward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case ConvolutionDirection::kBackwardData:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case ConvolutionDirection::kBackwardWeight:
      break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

// Shaped like y.
CudnnDescriptor output(int64_t id, ElementType type, const Conv2dShape& s) {
  return tensor(id, type, s.n, s.k, s.p(), s.q());
}

CudnnDescriptor convolution_operation(const ConvolutionProblem& problem, const CudnnDescriptor& y) {
  const Conv2dShape& s = problem.shape;
  const DirectionNames names = names_of(problem.direction);
  CudnnDescriptor operation(names.operation);
  operation.set(names.convolution, convolution(s));
  operation.set(names.x, tensor(kX, problem.type, s.n, s.c, s.h, s.w));
  operation.set(names.w, tensor(kW, problem.type, s.k, s.c, s.filter, s.filter));
  operation.set(names.y, y);
  operation.set(names.alpha, 1.0f);
  operation.set(names.beta, problem.accumulate ? 1.0f : 0.0f);
  operation.finalize();
  return operation;
}

// to = from + added, in float.
CudnnDescriptor addition(const CudnnDescriptor& from, const CudnnDescriptor& added,
                         const CudnnDescriptor& to) {
  CudnnDescriptor function(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  const cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
  function.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, &mode, 1);
  function.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  function.finalize();
  CudnnDescriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, function);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, from);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, added);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, to);
  operation.finalize();
  return operation;
}

// The convolution, then the residual, then the bias: for this order cuDNN has precompiled engines.
std::vector<CudnnDescriptor> operations(const ConvolutionProblem& problem) {
  const Conv2dShape& s = problem.shape;
  const CudnnDescriptor y = output(kY, problem.type, s);
  std::vector<CudnnDescriptor> made;
  if (!problem.bias) {
    made.push_back(convolution_operation(problem, y));
    return made;
  }
  const CudnnDescriptor bias = tensor(kBias, problem.type, 1, s.k, 1, 1);
  const CudnnDescriptor convolved = output(kConvolved, ElementType::kFloat, s);
  made.push_back(convolution_operation(problem, convolved));
  if (problem.residual) {
    const CudnnDescriptor sum = output(kSum, ElementType::kFloat, s);
    made.push_back(addition(convolved, output(kResidual, problem.type, s), sum));
    made.push_back(addition(sum, bias, y));
  } else {
    made.push_back(addition(convolved, bias, y));
  }
  return made;
}

CudnnDescriptor operation_graph(const CudnnDevice& device, const ConvolutionProblem& problem) {
  DDPM_CHECK(problem.shape.weight_channels == problem.shape.c && problem.shape.weight_channel_begin == 0);
  DDPM_CHECK(!problem.bias || problem.direction == ConvolutionDirection::kForward);
  const std::vector<CudnnDescriptor> made = operations(problem);
  std::vector<cudnnBackendDescriptor_t> raw(made.size());
  std::transform(made.begin(), made.end(), raw.begin(),
                 [](const auto& operation) { return operation.get(); });
  CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.data(),
            static_cast<int64_t>(raw.size()));
  device.name_in_graph(graph);
  graph.finalize();
  return graph;
}

std::vector<CudnnDescriptor> candidates(const CudnnDevice& device, const CudnnDescriptor& graph,
                                        cudnnBackendHeurMode_t mode) {
  CudnnDescriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, &mode, 1);
  device.name_in_heuristics(heuristics);
  heuristics.finalize();
  return heuristics.get_descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                                    kMostCandidates);
}

CudnnDescriptor engine_of(const CudnnDescriptor& configuration) {
  CudnnDescriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.get();
  int64_t count = 0;
  DDPM_CUDNN_CHECK(cudnnBackendGetAttribute(configuration.get(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw));
  return engine;
}

EngineNotes notes_of(const CudnnDescriptor& engine) {
  const auto behavior =
      engine.get_enums<cudnnBackendBehaviorNote_t>(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE);
  const auto numerical = engine.get_enums<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                                       CUDNN_TYPE_NUMERICAL_NOTE);
  const auto has = [](const auto& notes, auto note) {
    return std::find(notes.begin(), notes.end(), note) != notes.end();
  };
  return {.compiled_when_built = has(behavior, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION),
          .nondeterministic = has(numerical, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC),
          .tensor_cores = has(numerical, CUDNN_NUMERICAL_NOTE_TENSOR_CORE)};
}

// Whether a plan's description has the problem's operations, tensors, stride and accumulation. A plan for
// other sizes would access memory outside our arrays.
bool is_about(const std::string& tag, const ConvolutionProblem& problem) {
  const Conv2dShape& s = problem.shape;
  const nlohmann::json plan = nlohmann::json::parse(tag, nullptr, /*allow_exceptions=*/false);
  constexpr const char* kModes[] = {"CONV_FORWARD", "CONV_BWD_DATA", "CONV_BWD_FILTER"};
  const char* mode = problem.bias ? "CONV_ADD_BIAS_ACT" : kModes[static_cast<int>(problem.direction)];
  const size_t operations = 1 + (problem.bias ? 1 : 0) + (problem.residual ? 1 : 0);
  const char* type = problem.type == ElementType::kFloat ? "CUDNN_DATA_FLOAT" : "CUDNN_DATA_BFLOAT16";
  try {
    const nlohmann::json& graph = plan.at("operationGraph");
    const nlohmann::json& tensors = graph.at("tensors");
    const nlohmann::json& node = graph.at("nodes").at(0);
    const auto is_tensor = [&](size_t index, const std::vector<int64_t>& dimensions) {
      return tensors.at(index).at("dim") == dimensions && tensors.at(index).at("dataType") == type;
    };
    return graph.at("finalizeMode") == mode && graph.at("nodes").size() == operations &&
           is_tensor(0, {s.n, s.c, s.h, s.w}) && is_tensor(1, {s.k, s.c, s.filter, s.filter}) &&
           is_tensor(2, {s.n, s.k, s.p(), s.q()}) &&
           node.at("stride") == std::vector<int64_t>{s.stride, s.stride} &&
           node.at("beta") == (problem.accumulate ? 1 : 0);
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

}  // namespace

CudnnDevice CudnnDevice::present(cudnnHandle_t handle) {
  CudnnDescriptor properties(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  properties.set(CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, &handle, 1);
  properties.finalize();
  return {std::move(properties), handle};
}

CudnnDevice CudnnDevice::described(const std::string& json) {
  CudnnDescriptor properties(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  properties.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, json.data(),
                 static_cast<int64_t>(json.size()));
  properties.finalize();
  return {std::move(properties), nullptr};
}

void CudnnDevice::name_in(CudnnDescriptor& descriptor, cudnnBackendAttributeName_t by_handle,
                          cudnnBackendAttributeName_t by_properties) const {
  if (handle_ != nullptr)
    descriptor.set(by_handle, CUDNN_TYPE_HANDLE, &handle_, 1);
  else
    descriptor.set(by_properties, properties_);
}

void CudnnDevice::name_in_graph(CudnnDescriptor& graph) const {
  if (handle_ != nullptr) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, &handle_, 1);
}

void CudnnDevice::name_in_heuristics(CudnnDescriptor& heuristics) const {
  if (handle_ == nullptr) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties_);
}

std::string CudnnDevice::name() const {
  std::string text = json();
  try {
    const auto properties = nlohmann::json::parse(text);
    return fmt::format("{} sm_{}", properties.at("deviceName").get<std::string>(),
                       properties.at("deviceVer").get<int>() / 10);
  } catch (const nlohmann::json::exception&) {
    return text;  // a version with another description of devices: a long name, but a name
  }
}

std::string CudnnDevice::json() const {
  return properties_.get_text(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
}

ConvolutionPlan::ConvolutionPlan(std::shared_ptr<const CudnnDescriptor> graph, CudnnDescriptor plan,
                                 std::string tag, int64_t bytes)
    : graph_(std::move(graph)), plan_(std::move(plan)), tag_(std::move(tag)), workspace_bytes_(bytes) {}

std::string ConvolutionPlan::name() const {
  const nlohmann::json plan = nlohmann::json::parse(tag_, nullptr, /*allow_exceptions=*/false);
  try {
    const nlohmann::json& engine = plan.at("engine");
    std::string knobs;
    for (const auto& [knob, choice] : engine.at("knobChoices").items()) {
      constexpr std::string_view kPrefix = "CUDNN_KNOB_TYPE_";
      const size_t begin = knob.compare(0, kPrefix.size(), kPrefix) == 0 ? kPrefix.size() : 0;
      knobs += fmt::format("{}{} {}", knobs.empty() ? "" : ", ", knob.substr(begin), choice.dump());
    }
    return fmt::format("cuDNN engine {}{}", engine.at("engineId").dump(),
                       knobs.empty() ? "" : " (" + knobs + ")");
  } catch (const nlohmann::json::exception&) {
    return "a cuDNN plan";  // of a version with another description of plans
  }
}

bool is_acceptable(const EngineNotes& notes, ElementType type, const PlanLimits& limits) {
  if (notes.compiled_when_built) return false;
  if (notes.nondeterministic && limits.nondeterminism == PlanLimits::Nondeterminism::kRefused) return false;
  return !(notes.tensor_cores && type == ElementType::kFloat);
}

ConvolutionProposals::ConvolutionProposals(const CudnnDevice& device, const ConvolutionProblem& problem,
                                           const PlanLimits& limits)
    : device_(device),
      problem_(problem),
      limits_(limits),
      graph_(std::make_shared<const CudnnDescriptor>(operation_graph(device, problem))) {}

std::optional<ConvolutionPlan> ConvolutionProposals::built(const CudnnDescriptor& configuration) {
  try {
    if (!is_acceptable(notes_of(engine_of(configuration)), problem_.type, limits_)) return std::nullopt;
    CudnnDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    device_.name_in(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    plan.finalize();
    const int64_t bytes = plan.get_int(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
    if (bytes > limits_.workspace_bytes) return std::nullopt;
    std::string tag = plan.get_text(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
    if (!tags_.insert(tag).second) return std::nullopt;
    return ConvolutionPlan(graph_, std::move(plan), std::move(tag), bytes);
  } catch (const CudnnError&) {
    return std::nullopt;  // expected: heuristics also propose configurations that cannot be built
  }
}

std::optional<ConvolutionPlan> ConvolutionProposals::next() {
  constexpr cudnnBackendHeurMode_t kModes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B,
                                               CUDNN_HEUR_MODE_FALLBACK};
  while (true) {
    while (next_configuration_ < configurations_.size()) {
      ++considered_;
      if (std::optional<ConvolutionPlan> plan = built(configurations_[next_configuration_++])) return plan;
    }
    if (next_mode_ == std::size(kModes)) return std::nullopt;
    configurations_.clear();
    next_configuration_ = 0;
    try {
      configurations_ = candidates(device_, *graph_, kModes[next_mode_++]);
    } catch (const CudnnError&) {
      continue;  // this mode does not support the problem; others may
    }
  }
}

std::vector<ConvolutionPlan> convolution_plans(const CudnnDevice& device, const ConvolutionProblem& problem,
                                               const PlanLimits& limits) {
  ConvolutionProposals proposals(device, problem, limits);
  std::vector<ConvolutionPlan> plans;
  while (std::optional<ConvolutionPlan> plan = proposals.next()) plans.push_back(*std::move(plan));
  return plans;
}

std::optional<ConvolutionPlan> restored_convolution_plan(const CudnnDevice& device,
                                                         const ConvolutionProblem& problem,
                                                         const std::string& tag, const PlanLimits& limits) {
  if (!is_about(tag, problem)) return std::nullopt;
  try {
    CudnnDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    device.name_in(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, tag.data(),
             static_cast<int64_t>(tag.size()));
    plan.finalize();
    const int64_t bytes = plan.get_int(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
    if (bytes > limits.workspace_bytes) return std::nullopt;
    return ConvolutionPlan(nullptr, std::move(plan), tag, bytes);
  } catch (const CudnnError&) {
    return std::nullopt;
  }
}

void ConvolutionPlan::run(cudnnHandle_t handle, const ConvolutionTensors& tensors, void* workspace) const {
  std::vector<int64_t> ids = {kX, kW, kY};
  std::vector<const void*> pointers = {tensors.x, tensors.w, tensors.y};
  if (tensors.bias != nullptr) {
    ids.push_back(kBias);
    pointers.push_back(tensors.bias);
  }
  if (tensors.residual != nullptr) {
    ids.push_back(kResidual);
    pointers.push_back(tensors.residual);
  }
  CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers.data(),
           static_cast<int64_t>(pointers.size()));
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, &workspace, 1);
  pack.finalize();
  DDPM_CUDNN_CHECK(cudnnBackendExecute(handle, plan_.get(), pack.get()));
}

}  // namespace ddpm
