#include "runtime/program/differentiate.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "support/error.h"

namespace ddpm {
namespace {

class Differentiator {
 public:
  Differentiator(Program& program, const Differentiation& request) : program_(program) {
    find_dependents(request.wanted_input);
    arrived_[request.output] = {request.output_gradient};
  }

  void run() {
    const std::vector<Operation> forward = program_.operations();
    for (auto operation = forward.rbegin(); operation != forward.rend(); ++operation) {
      if (operation->phase != Phase::kForward) continue;
      name_ = operation->name;
      std::visit([this](const auto& op) { backward(op); }, operation->operation);
    }
  }

  // The sum of all gradients that reached the buffer, as one buffer; kNoBuffer if none did.
  BufferId gradient(BufferId buffer) {
    const auto found = arrived_.find(buffer);
    if (found == arrived_.end() || found->second.empty()) return kNoBuffer;
    reduce_to(found->second, 1);
    return found->second[0];
  }

  // Appends the backward pass to the program.
  void finish() {
    for (const Operation& operation : backward_)
      program_.add(operation.name, operation.phase, operation.operation);
  }

 private:
  // A buffer needs a gradient if it depends on a parameter or on the wanted input.
  void find_dependents(BufferId wanted_input) {
    if (wanted_input != kNoBuffer) needs_gradient_.insert(wanted_input);
    for (const Operation& operation : program_.operations()) {
      if (operation.phase != Phase::kForward) continue;
      const Operands all = operands(operation.operation);
      const bool depends = std::any_of(all.begin(), all.end(), [this](const Operand& operand) {
        return operand.access == Access::kRead && (program_.buffer(operand.buffer).role == Role::kParameter ||
                                                   needs_gradient_.contains(operand.buffer));
      });
      if (!depends) continue;
      for (const Operand& operand : all)
        if (operand.access == Access::kWrite) needs_gradient_.insert(operand.buffer);
    }
  }

  bool needs_gradient(BufferId buffer) const {
    return buffer != kNoBuffer && needs_gradient_.contains(buffer);
  }

  BufferId new_gradient(BufferId buffer) {
    return program_.add_buffer(program_.buffer(buffer).name + ".gradient", program_.shape(buffer));
  }

  BufferId parameter_gradient(BufferId parameter) {
    return parameter == kNoBuffer ? kNoBuffer : program_.gradient_of_parameter(parameter);
  }

  template <typename Op>
  void append(const char* suffix, Op op) {
    backward_.push_back({name_ + suffix, Phase::kBackward, std::move(op)});
  }

  // Sums gradients until at most `count` are left.
  void reduce_to(std::vector<BufferId>& gradients, size_t count) {
    while (gradients.size() > count) {
      Add add{.count = element_count(program_.shape(gradients[0])), .a = gradients[0], .b = gradients[1]};
      add.y = program_.add_buffer(program_.buffer(gradients[0]).name + ".sum", program_.shape(gradients[0]));
      append(".sum", add);
      gradients.erase(gradients.begin());
      gradients[0] = add.y;
    }
  }

  // Returns the buffer to which an operation will write a gradient of `buffer`; kNoBuffer if none is needed.
  // Moves the gradients that have reached the buffer to `addends`, which the operation adds; without addends,
  // the new gradient joins them.
  BufferId contribute(BufferId buffer, std::span<BufferId> addends) {
    if (!needs_gradient(buffer)) return kNoBuffer;
    std::vector<BufferId>& gradients = arrived_[buffer];
    if (!addends.empty()) {
      reduce_to(gradients, addends.size());
      std::copy(gradients.begin(), gradients.end(), addends.begin());
      gradients.clear();
    }
    gradients.push_back(new_gradient(buffer));
    return gradients.back();
  }

  // y = ... + residual: the gradient of y is also one of the residual, at no cost.
  void pass_on(BufferId residual, BufferId dy) {
    if (needs_gradient(residual)) arrived_[residual].push_back(dy);
  }

  // The gradient of a matrix whose columns several operations write; the first of them creates it.
  BufferId shared_gradient(BufferId matrix) {
    if (!needs_gradient(matrix)) return kNoBuffer;
    std::vector<BufferId>& gradients = arrived_[matrix];
    if (gradients.empty()) gradients.push_back(new_gradient(matrix));
    return gradients[0];
  }

  void backward(const Conv2d& op) {
    const BufferId dy = gradient(op.y);
    if (dy == kNoBuffer) return;
    pass_on(op.residual, dy);
    Conv2dBackwardWeight weight{
        .shape = op.shape, .x = op.x, .dy = dy, .dweight = parameter_gradient(op.weight)};
    if (op.bias != kNoBuffer && !is_also_taken(dy, op.bias)) {
      weight.dbias = parameter_gradient(op.bias);
      bias_sums_[dy] = backward_.size();
    }
    append(".backward_weight", weight);
    Conv2dBackwardData data{.shape = op.shape, .dy = dy, .weight = op.weight};
    data.dx = contribute(op.x, {&data.residual, 1});
    if (data.dx != kNoBuffer) append(".backward_data", data);
  }

  // Whether the operation that sums dy for another bias can add the sum to this bias's gradient too.
  bool is_also_taken(BufferId dy, BufferId bias) {
    const auto found = bias_sums_.find(dy);
    if (found == bias_sums_.end()) return false;
    auto& summing = std::get<Conv2dBackwardWeight>(backward_[found->second].operation);
    if (summing.also_dbias != kNoBuffer) return false;
    summing.also_dbias = parameter_gradient(bias);
    return true;
  }

  void backward(const UpsampleConv2d& op) {
    const BufferId dy = gradient(op.y);
    if (dy == kNoBuffer) return;
    append(".backward_weight", UpsampleConv2dBackwardWeight{.shape = op.shape,
                                                            .x = op.x,
                                                            .dy = dy,
                                                            .dweight = parameter_gradient(op.weight),
                                                            .dbias = parameter_gradient(op.bias)});
    UpsampleConv2dBackwardData data{.shape = op.shape, .dy = dy, .weight = op.weight};
    data.dx = contribute(op.x, {&data.residual, 1});
    if (data.dx != kNoBuffer) append(".backward_data", data);
  }

  void backward(const GroupNorm& op) {
    const BufferId dy = gradient(op.y);
    if (dy == kNoBuffer) return;
    GroupNormBackward back{.forward = op,
                           .dy = dy,
                           .dbias = parameter_gradient(op.bias),
                           .dgamma = parameter_gradient(op.gamma),
                           .dbeta = parameter_gradient(op.beta)};
    back.dx = contribute(op.x, back.dx_addends);
    // If x and skip are one buffer, its two gradients are written by the same operation, so neither can
    // be an addend of the other.
    const std::span<BufferId> addends = op.skip == op.x ? std::span<BufferId>() : back.dskip_addends;
    if (op.skip != kNoBuffer) back.dskip = contribute(op.skip, addends);
    back.dshift = shared_gradient(op.shift);
    back.dfilm = shared_gradient(op.film);
    append(".backward", back);
  }

  void backward(const Attention& op) {
    const BufferId dy = gradient(op.y);
    if (dy == kNoBuffer) return;
    AttentionBackward back{.shape = op.shape, .dy = dy, .qkv = op.qkv, .probabilities = op.probabilities};
    back.dscores = program_.add_buffer(name_ + ".dscores", program_.shape(op.probabilities));
    back.dqkv = contribute(op.qkv, {});
    append(".backward", back);
  }

  void backward(const Linear& op) {
    const BufferId dy = gradient(op.y);
    if (dy == kNoBuffer) return;
    pass_on(op.residual, dy);
    LinearBackward back{.params = op.params,
                        .dy = dy,
                        .x = op.x,
                        .weight = op.weight,
                        .dweight = parameter_gradient(op.weight),
                        .dbias = parameter_gradient(op.bias)};
    back.dx = contribute(op.x, {});
    append(".backward", back);
  }

  void backward(const Add& op) {
    const BufferId dy = gradient(op.y);
    if (dy == kNoBuffer) return;
    pass_on(op.a, dy);
    pass_on(op.b, dy);
  }

  void backward(const UpsampleNearest& op) {
    const BufferId dy = gradient(op.y);
    if (dy == kNoBuffer) return;
    pass_on(op.residual, dy);
    SumPool back{.params = op.params, .x = dy};
    back.y = contribute(op.x, {&back.residual, 1});
    if (back.y != kNoBuffer) append(".backward", back);
  }

  void backward(const SumPool& op) {
    const BufferId dy = gradient(op.y);
    if (dy == kNoBuffer) return;
    pass_on(op.residual, dy);
    UpsampleNearest back{.params = op.params, .x = dy};
    back.y = contribute(op.x, {&back.residual, 1});
    if (back.y != kNoBuffer) append(".backward", back);
  }

  void backward(const Rescale& op) {
    const BufferId dy = gradient(op.y);
    if (dy == kNoBuffer) return;
    Rescale back{.params = op.params, .x = dy, .divisor = op.divisor};
    back.params.offset = 0;
    back.y = contribute(op.x, {});
    if (back.y != kNoBuffer) append(".backward", back);
  }

  // The ends of the chain: nothing before them is trained.
  void backward(const TimeEmbedding&) {}
  void backward(const OneHot&) {}
  void backward(const Diffuse&) {}
  void backward(const GatherLabels&) {}
  void backward(const Loss&) {}

  // The others do not occur in forward passes.
  template <typename Op>
  void backward(const Op&) {
    throw LogicError(fmt::format("the operation {} ({}) has no backward pass", name_, Op::kKind));
  }

  Program& program_;
  std::set<BufferId> needs_gradient_;
  // Gradients that reached a buffer and are not summed yet.
  std::map<BufferId, std::vector<BufferId>> arrived_;
  std::vector<Operation> backward_;
  std::map<BufferId, size_t> bias_sums_;  // dy -> index in backward_ of the operation that sums it
  std::string name_;
};

}  // namespace

BufferId differentiate(Program& program, const Differentiation& request) {
  Differentiator differentiator(program, request);
  differentiator.run();
  const BufferId input_gradient =
      request.wanted_input == kNoBuffer ? kNoBuffer : differentiator.gradient(request.wanted_input);
  differentiator.finish();
  return input_gradient;
}

}  // namespace ddpm
