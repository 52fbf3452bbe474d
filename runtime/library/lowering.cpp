#include "runtime/library/lowering.h"

#include <algorithm>

#include "runtime/library/lower_layers.h"
#include "support/overloaded.h"

namespace ddpm {
namespace {

template <typename Problem>
void add_once(std::vector<Problem>& problems, const Problem& problem) {
  if (std::find(problems.begin(), problems.end(), problem) == problems.end()) problems.push_back(problem);
}

// Operations with a kernel of our own.
template <typename Op, typename T>
concept HasKernel = requires {
  &Op::template launch<T>;
};

template <typename Op>
size_t scratch_bytes(const Op& op) {
  if constexpr (requires { op.scratch_bytes(); })
    return op.scratch_bytes();
  else
    return 0;
}

template <typename T, HasKernel<T> Op>
void lower_operation(Lowering<T>& to, const Op& op) {
  const Place scratch = to.scratch(static_cast<int64_t>(scratch_bytes(op)));
  to.kernel(op.cost(sizeof(T)).bytes, [=](const Addresses<T>& at, StreamView stream) {
    op.template launch<T>(op.args(at.view()), {at.of(scratch), stream});
  });
}

template <typename T, typename Op>
void lower_operation(Lowering<T>& to, const Op& op) {
  lower_layer(to, op);
}

}  // namespace

UpsampleForm UpsampleForms::of(const UpsampleConv2dShape& shape) const {
  // A later choice overrides an earlier one.
  const auto chosen =
      std::find_if(chosen_.rbegin(), chosen_.rend(), [&](const auto& known) { return known.first == shape; });
  if (chosen != chosen_.rend()) return chosen->second;
  return are_open() ? UpsampleForm::kFolded : form_;
}

template <typename T>
LibraryProblems LaunchList<T>::problems() const {
  LibraryProblems all;
  for (const Launch<T>& launch : launches)
    std::visit(Overloaded{[&](const ConvolutionLaunch& call) { add_once(all.convolutions, call.problem); },
                          [&](const GemmLaunch& call) { add_once(all.gemms, call.problem); },
                          [](const KernelLaunch<T>&) {}},
               launch.what);
  for (const ConvolutionProblem& fused : convolution_fusions) add_once(all.convolutions, fused);
  for (const GemmProblem& fused : gemm_fusions) add_once(all.gemms, fused);
  return all;
}

template <typename T>
LaunchList<T> lower(const Program& program, const MemoryPlan& plan, const UpsampleForms& forms,
                    Fusions fusions) {
  Lowering<T> lowering(plan, forms, fusions);
  for (size_t index = 0; index < program.operations().size(); ++index) {
    lowering.begin_operation(index);
    std::visit([&](const auto& op) { lower_operation(lowering, op); }, program.operations()[index].operation);
  }
  return std::move(lowering).finish();
}

template <typename T>
BoundOperations bind(const LaunchList<T>& list, size_t operations, const Addresses<T>& addresses,
                     VendorLibrary& library) {
  BoundOperations bound(operations);
  const auto at = [&](const Place& place) { return addresses.of(place); };
  for (const Launch<T>& launch : list.launches)
    bound[launch.operation].push_back(std::visit(
        Overloaded{[&](const ConvolutionLaunch& call) {
                     return library.bind(call.problem, ConvolutionTensors{.x = at(call.x),
                                                                          .w = at(call.w),
                                                                          .y = at(call.y),
                                                                          .bias = at(call.bias),
                                                                          .residual = at(call.residual)});
                   },
                   [&](const GemmLaunch& call) {
                     return library.bind(call.problem, GemmTensors{.a = at(call.a),
                                                                   .b = at(call.b),
                                                                   .c = at(call.c),
                                                                   .bias = at(call.bias),
                                                                   .d = at(call.d)});
                   },
                   [&](const KernelLaunch<T>& kernel) -> LaunchFunction {
                     return [launch = kernel.launch, addresses](StreamView stream) {
                       launch(addresses, stream);
                     };
                   }},
        launch.what));
  return bound;
}

template struct LaunchList<float>;
template struct LaunchList<BFloat16>;
template LaunchList<float> lower(const Program&, const MemoryPlan&, const UpsampleForms&, Fusions);
template LaunchList<BFloat16> lower(const Program&, const MemoryPlan&, const UpsampleForms&, Fusions);
template BoundOperations bind(const LaunchList<float>&, size_t, const Addresses<float>&, VendorLibrary&);
template BoundOperations bind(const LaunchList<BFloat16>&, size_t, const Addresses<BFloat16>&,
                              VendorLibrary&);

}  // namespace ddpm
