#include "runtime/library/upsample_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/library/product_operations.h"
#include "runtime/library/trial_values.h"
#include "support/overloaded.h"

namespace ddpm {
namespace {

constexpr UpsampleForm kForms[] = {UpsampleForm::kFolded, UpsampleForm::kNearest};

// A shape, and one operation for each pass that the program has of it.
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

// Memory for the operands of a layer's passes.
template <typename T>
class TrialTensors {
 public:
  TrialTensors(const Program& program, const Layer& layer, StreamView stream) {
    size_t largest = 0;
    for (const AnyOperation& pass : layer.passes)
      for (const Operand& operand : std::visit([](const auto& op) { return op.operands(); }, pass)) {
        if (operand.buffer == kNoBuffer) continue;
        const auto bytes = static_cast<size_t>(element_count(program.shape(operand.buffer))) * sizeof(float);
        tensors_.try_emplace(operand.buffer, bytes);
        largest = std::max(largest, bytes);
      }
    const TrialValues values(largest, stream);
    size_t count = 0;
    for (const auto& [id, tensor] : tensors_) values.fill(tensor.span(), stream, count++);
    stream.synchronize();  // the values go
  }

  T* real(BufferId id) const { return at<T>(id); }
  float* master(BufferId id) const { return at<float>(id); }
  const T* weight(BufferId id) const { return at<T>(id); }

 private:
  template <typename U>
  U* at(BufferId id) const {
    return id == kNoBuffer ? nullptr : reinterpret_cast<U*>(tensors_.at(id).data());
  }

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

// What the program asks for with these layers in either form.
template <typename T>
ProductProblems problems_of_both(const Program& program, const UpsampleForms& forms,
                                 const std::vector<Layer>& layers) {
  ProductProblems all = product_problems<T>(program, with(forms, layers, kForms[0]));
  const ProductProblems others = product_problems<T>(program, with(forms, layers, kForms[1]));
  add_missing(all.convolutions, others.convolutions);
  add_missing(all.matrices, others.matrices);
  all.scratch_bytes = std::max(all.scratch_bytes, others.scratch_bytes);
  return all;
}

}  // namespace

template <typename T>
UpsampleForms choose_upsample_forms(const Program& program, UpsampleForms forms,
                                    ProductPrimitives& primitives, StreamView stream) {
  if (!forms.are_open() || !primitives.measures()) return forms;
  std::vector<Layer> open;
  for (Layer& layer : layers_of(program)) {
    if (const std::optional<size_t> known = primitives.known_way(ways_of<T>(layer)))
      forms.choose(layer.shape, kForms[*known]);
    else
      open.push_back(std::move(layer));
  }
  if (open.empty()) return forms;

  const ProductProblems problems = problems_of_both<T>(program, forms, open);
  primitives.prepare(problems, stream);
  const DeviceBuffer<std::byte> scratch(problems.scratch_bytes);
  for (const Layer& layer : open) {
    const TrialTensors<T> tensors(program, layer, stream);
    const auto run = [&](size_t way) {
      const UpsampleForms in_form = with(forms, {layer}, kForms[way]);
      for (const AnyOperation& pass : layer.passes) {
        ProductRun steps(primitives, scratch.span(), stream);
        std::visit(
            Overloaded{ProductOperations<T, TrialTensors<T>>(steps, tensors, in_form), [](const auto&) {}},
            pass);
      }
    };
    forms.choose(layer.shape, kForms[primitives.fastest_way(ways_of<T>(layer), run, stream)]);
    stream.synchronize();  // the tensors go
  }
  return forms;
}

template UpsampleForms choose_upsample_forms<float>(const Program&, UpsampleForms, ProductPrimitives&,
                                                    StreamView);
template UpsampleForms choose_upsample_forms<BFloat16>(const Program&, UpsampleForms, ProductPrimitives&,
                                                       StreamView);

}  // namespace ddpm
