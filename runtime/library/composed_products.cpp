#include "runtime/library/composed_products.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <variant>

#include "runtime/library/product_operations.h"
#include "runtime/library/upsample_choice.h"
#include "support/overloaded.h"

namespace ddpm {
namespace {

// Addresses of a program's buffers before they have any: different buffers differ, kNoBuffer is null, nothing
// is read or written there.
template <typename T>
struct NoMemory {
  static T* real(BufferId id) { return address<T>(id); }
  static float* master(BufferId id) { return address<float>(id); }
  static const T* weight(BufferId id) { return address<T>(id); }

  template <typename U>
  static U* address(BufferId id) {
    constexpr uintptr_t kFarApart = 4096;
    return reinterpret_cast<U*>(static_cast<uintptr_t>(id + 1) * kFarApart);
  }
};

}  // namespace

UpsampleForm UpsampleForms::of(const UpsampleConv2dShape& shape) const {
  // The last choice holds.
  const auto chosen =
      std::find_if(chosen_.rbegin(), chosen_.rend(), [&](const auto& known) { return known.first == shape; });
  if (chosen != chosen_.rend()) return chosen->second;
  return are_open() ? UpsampleForm::kFolded : wanted_;
}

template <typename T>
ProductProblems product_problems(const Program& program, const UpsampleForms& forms) {
  ProductSurvey survey;
  const NoMemory<T> memory;
  const Overloaded visitor{ProductOperations<T, NoMemory<T>>(survey, memory, forms),
                           [](const auto&) {}};  // kernels of our own need nothing made ready
  for (const Operation& operation : program.operations()) {
    std::visit(visitor, operation.operation);
    survey.next_layer();
  }
  return survey.problems();
}

template <typename T>
ComposedProducts<T>::ComposedProducts(std::unique_ptr<ProductPrimitives> primitives,
                                      const ComposedProductsOptions& options)
    : forms_(options), primitives_(std::move(primitives)), scratch_(0) {}

template <typename T>
void ComposedProducts<T>::prepare(const Program& program, StreamView stream) {
  forms_ = choose_upsample_forms<T>(program, forms_, *primitives_, stream);
  const ProductProblems problems = product_problems<T>(program, forms_);
  primitives_->prepare(problems, stream);
  scratch_ = DeviceBuffer<std::byte>(problems.scratch_bytes);
}

template class ComposedProducts<float>;
template class ComposedProducts<BFloat16>;
template ProductProblems product_problems<float>(const Program&, const UpsampleForms&);
template ProductProblems product_problems<BFloat16>(const Program&, const UpsampleForms&);

}  // namespace ddpm
