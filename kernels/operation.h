// What a program's operations have in common. An operation's header says everything about it: the
// mathematics, its parameters, the arguments of its kernels, and a struct that names its buffers:
//
//   struct Add {
//     int64_t count;
//     BufferId a, b, y = kNoBuffer;
//
//     static constexpr const char* kKind = "add";
//     template <typename Memory>
//     auto args(Memory&& m) const {              // the one place that binds buffers to arguments
//       return AddArgs<ComputeType<Memory>>{     // and says which are read and which are written
//           .a = m.read("a", a), .b = m.read("b", b), .y = m.write("y", y, a)};
//     }
//     Cost cost(int element_bytes) const;        // its minimal cost
//     ErrorGrowth error_growth(BufferId result) const;   // how far two implementations may differ
//     template <typename T>
//     void compute(const AddArgs<T>&) const;     // on the CPU: kernels/reference
//     size_t scratch_bytes() const;              // of launch(); absent if it needs none
//     template <typename T>
//     void launch(const AddArgs<T>&, const LaunchOn&) const;   // on the GPU: kernels/cuda
//   };
//
// Convolutions, linear layers and attention have no launch(): runtime/library lowers them to library calls.
//
// A Memory knows the buffers' addresses. Its read(), write(), write_columns() and update() return a value
// that converts to the argument's pointer type, null for kNoBuffer. Its Compute and Master are the types of
// DType::kCompute and DType::kMaster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "device/stream.h"
#include "kernels/cost.h"
#include "kernels/error_growth.h"

namespace ddpm {

using BufferId = int32_t;
inline constexpr BufferId kNoBuffer = -1;  // an operand that the operation does without

enum class Access : uint8_t {
  kRead,
  kWrite,   // every element is overwritten (or the operation's slice of it)
  kUpdate,  // read and written: accumulation, optimizer states, counters
};

// One buffer in an operation's hands.
struct Operand {
  const char* name;  // as in the operation's struct
  BufferId buffer;
  Access access;
  // A written buffer may take the memory of this one where its life ends here: the operation reads an element
  // of it no later than it writes the same element.
  BufferId may_share = kNoBuffer;
};
using Operands = std::vector<Operand>;

template <typename Memory>
using ComputeType = typename std::remove_cvref_t<Memory>::Compute;
template <typename Memory>
using MasterType = typename std::remove_cvref_t<Memory>::Master;

// A Memory without addresses, which records the operands instead.
class OperandList {
 public:
  using Compute = float;
  using Master = float;
  struct NoAddress {
    template <typename U>
    operator U*() const {  // NOLINT(google-explicit-constructor): stands for any argument
      return nullptr;
    }
  };

  // `column`: the pointer is to that column of the matrix on.
  NoAddress read(const char* name, BufferId id, int column = 0) {
    static_cast<void>(column);
    return add({name, id, Access::kRead});
  }
  NoAddress write(const char* name, BufferId id, BufferId may_share = kNoBuffer) {
    return add({name, id, Access::kWrite, may_share});
  }
  NoAddress write_columns(const char* name, BufferId id, int column) {
    static_cast<void>(column);
    return add({name, id, Access::kWrite});
  }
  NoAddress update(const char* name, BufferId id) { return add({name, id, Access::kUpdate}); }
  // The copy of all parameters that library ops compute with, where there is one; it follows the parameters.
  NoAddress compute_weights() { return {}; }

  const Operands& operands() const { return operands_; }

 private:
  NoAddress add(const Operand& operand) {
    if (operand.buffer != kNoBuffer) operands_.push_back(operand);
    return {};
  }

  Operands operands_;
};

// Where a kernel is launched, and its scratch memory: scratch_bytes() of the operation, 256-byte aligned.
struct LaunchOn {
  void* scratch = nullptr;
  StreamView stream;
};

}  // namespace ddpm
