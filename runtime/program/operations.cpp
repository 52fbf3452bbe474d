#include "runtime/program/operations.h"

namespace ddpm {

Operands operands(const AnyOperation& operation) {
  OperandList list;
  std::visit([&](const auto& op) { op.args(list); }, operation);
  return list.operands();
}

const char* kind(const AnyOperation& operation) {
  return std::visit([](const auto& op) { return op.kKind; }, operation);
}

Cost cost(const AnyOperation& operation, int element_bytes) {
  return std::visit([&](const auto& op) { return op.cost(element_bytes); }, operation);
}

}  // namespace ddpm
