#include "runtime/library/upsample_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <variant>
#include <vector>

#include "device/memory.h"
#include "runtime/library/lowering.h"
#include "runtime/library/trial_values.h"
#include "support/overloaded.h"

namespace ddpm {
namespace {

constexpr UpsampleForm kForms[] = {UpsampleForm::kFolded, UpsampleForm::kNearest};

// A shape, and one operation for each of its passes in the program.
struct Layer {
  UpsampleConv2dShape shape;
  std::vector<AnyOperation> passes;
};

void add_pass(std::vector<Layer>& layers, const UpsampleConv2dShape& shape, const AnyOperation& operation) {
  auto layer =
      std::find_if(layers.begin(), layers.end(), [&](const Layer& known) { return known.shape == shape; });
  if (layer == layers.end()) layer = layers.insert(layers.end(), {shape, {}});
  const bool is_known =
      std::any_of(layer->passes.begin(), layer->passes.end(),
                  [&](const AnyOperation& pass) { return pass.index() == operation.index(); });
  if (!is_known) layer->passes.push_back(operation);
}

std::vector<Layer> layers_of(const Program& program) {
  std::vector<Layer> layers;
  for (const Operation& operation : program.operations())
    std::visit(Overloaded{[&](const UpsampleConv2d& op) { add_pass(layers, op.shape, op); },
                          [&](const UpsampleConv2dBackwardData& op) { add_pass(layers, op.shape, op); },
                          [&](const UpsampleConv2dBackwardWeight& op) { add_pass(layers, op.shape, op); },
                          [](const auto&) {}},
               operation.operation);
  return layers;
}

template <typename T>
Ways ways_of(const Layer& layer) {
  const UpsampleConv2dShape& s = layer.shape;
  std::string key = fmt::format("upsampling {} {}x{}x{}x{} -> {}x{}x{}", sizeof(T) == 4 ? "fp32" : "bf16",
                                s.n, s.h, s.w, s.c, 2 * s.h, 2 * s.w, s.k);
  for (const AnyOperation& pass : layer.passes)
    key += std::visit([](const auto& op) { return std::string(" ") + op.kKind; }, pass);
  return {std::move(key), {"folded", "nearest"}};  // as kForms
}

// The layer's passes as a program of their own, with the same buffer ids.
Program program_of(const Program& whole, const Layer& layer) {
  Program program;
  for (const Buffer& buffer : whole.buffers())
    program.add_buffer(buffer.name, buffer.shape, Role::kState, buffer.dtype);
  for (const AnyOperation& pass : layer.passes) program.add("upsample", Phase::kForward, pass);
  return program;
}

// Memory for the operands of the passes.
class TrialTensors {
 public:
  TrialTensors(const Program& passes, StreamView stream) {
    size_t largest = 0;
    for (const Operation& pass : passes.operations())
      for (const Operand& operand : operands(pass.operation)) {
        const auto bytes = static_cast<size_t>(element_count(passes.shape(operand.buffer))) * sizeof(float);
        tensors_.try_emplace(operand.buffer, bytes);
        largest = std::max(largest, bytes);
      }
    const TrialValues values(largest, stream);
    size_t count = 0;
    for (const auto& [id, tensor] : tensors_) values.fill(tensor.span(), stream, count++);
    stream.synchronize();  // before the values are freed
  }

  std::map<BufferId, void*> addresses() const {
    std::map<BufferId, void*> addresses;
    for (const auto& [id, tensor] : tensors_) addresses[id] = tensor.data();
    return addresses;
  }

 private:
  std::map<BufferId, DeviceBuffer<std::byte>> tensors_;
};

template <typename Problem>
void add_missing(std::vector<Problem>& to, const std::vector<Problem>& from) {
  for (const Problem& problem : from)
    if (std::find(to.begin(), to.end(), problem) == to.end()) to.push_back(problem);
}

UpsampleForms with(UpsampleForms forms, const std::vector<Layer>& layers, UpsampleForm form) {
  for (const Layer& layer : layers) forms.choose(layer.shape, form);
  return forms;
}

// The program's problems with these layers in both forms, and the scratch bytes for either.
template <typename T>
std::pair<LibraryProblems, size_t> problems_of_both(const Program& program, const UpsampleForms& forms,
                                                    const std::vector<Layer>& layers) {
  const MemoryPlan plan = plan_memory(program, {.compute = sizeof(T), .master = sizeof(float)});
  const LaunchList<T> first = lower<T>(program, plan, with(forms, layers, kForms[0]));
  const LaunchList<T> second = lower<T>(program, plan, with(forms, layers, kForms[1]));
  LibraryProblems all = first.problems();
  const LibraryProblems others = second.problems();
  add_missing(all.convolutions, others.convolutions);
  add_missing(all.gemms, others.gemms);
  return {std::move(all), std::max(first.scratch_bytes, second.scratch_bytes)};
}

}  // namespace

template <typename T>
UpsampleForms choose_upsample_forms(const Program& program, UpsampleForms forms, VendorLibrary& library,
                                    StreamView stream) {
  if (!forms.are_open() || !library.measures()) return forms;
  std::vector<Layer> open;
  for (Layer& layer : layers_of(program)) {
    if (const std::optional<size_t> known = library.known_way(ways_of<T>(layer)))
      forms.choose(layer.shape, kForms[*known]);
    else
      open.push_back(std::move(layer));
  }
  if (open.empty()) return forms;

  const auto [problems, scratch_bytes] = problems_of_both<T>(program, forms, open);
  library.prepare(problems, stream);
  const DeviceBuffer<std::byte> scratch(scratch_bytes);
  for (const Layer& layer : open) {
    const Program passes = program_of(program, layer);
    const MemoryPlan plan = plan_memory(passes, {.compute = sizeof(T), .master = sizeof(float)});
    const TrialTensors tensors(passes, stream);
    const Addresses<T> addresses(tensors.addresses(), scratch.data());
    std::vector<BoundOperations> ways;
    for (const UpsampleForm form : kForms)
      ways.push_back(bind(lower<T>(passes, plan, with(forms, {layer}, form), &library),
                          passes.operations().size(), addresses, library));
    const auto run = [&](size_t way) {
      for (const auto& operation : ways[way])
        for (const LaunchFunction& launch : operation) launch(stream);
    };
    forms.choose(layer.shape, kForms[library.fastest_way(ways_of<T>(layer), run, stream)]);
    stream.synchronize();  // before the tensors are freed
  }
  return forms;
}

template UpsampleForms choose_upsample_forms<float>(const Program&, UpsampleForms, VendorLibrary&,
                                                    StreamView);
template UpsampleForms choose_upsample_forms<BFloat16>(const Program&, UpsampleForms, VendorLibrary&,
                                                       StreamView);

}  // namespace ddpm
