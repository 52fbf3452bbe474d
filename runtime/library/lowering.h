// Lowers a program to the list of its launches on a GPU: our kernels, and the library's convolutions and
// GEMMs, each with its operands. Everything else reads this list: what to plan and autotune, how much scratch
// memory to allocate, how many bytes move, and what a step captures. None of this needs a GPU or a particular
// library, so the emulator runs all of it.
//
//   3x3 convolution          bias and residual first, and the convolution accumulates on them; or both in its
//                            epilogue, if the library fuses them
//   its weight gradient      in bf16 to scratch, then added to the float gradient: no library accumulates
//                            bf16 convolutions in float memory
//   1x1 convolution          GEMMs over the pixels; slices of the weight by leading dimension
//   upsampling convolution   the data gradient of a 4x4 convolution (UpsampleConv2dShape::folded), or the
//                            convolution of an upsampled copy: see UpsampleForm
//   linear, attention        GEMMs, with SiLU and softmax between them
//   all others               one launch each: Operation::launch in kernels/
//
// GEMMs add bias and residual in their epilogue, or accumulate on them where that is faster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "device/bfloat16.h"
#include "device/element_type.h"
#include "runtime/gpu_options.h"
#include "runtime/library/vendor_library.h"
#include "runtime/program/memory_plan.h"
#include "runtime/program/program.h"
#include "runtime/program_memory.h"

namespace ddpm {

// A launch's operand before memory is allocated: a buffer, or an offset in scratch memory.
struct Place {
  BufferId buffer = kNoBuffer;
  int64_t scratch = -1;  // bytes from the start of the scratch memory; -1: a buffer
  ElementType type = ElementType::kFloat;

  bool is_present() const { return buffer != kNoBuffer || scratch >= 0; }
};

// The addresses of places, once memory is allocated.
template <typename T>
class Addresses {
 public:
  Addresses(const BufferView<T, float>& buffers, std::byte* scratch) : view_(buffers), scratch_(scratch) {}
  // For layers that lower to library calls; other operations need a view.
  Addresses(std::map<BufferId, void*> buffers, std::byte* scratch)
      : buffers_(std::move(buffers)), scratch_(scratch) {}

  const BufferView<T, float>& view() const { return view_.value(); }

  // Null for a place that is not present.
  void* of(const Place& place) const {
    if (place.scratch >= 0) return scratch_ + place.scratch;
    if (place.buffer == kNoBuffer) return nullptr;
    if (!view_) return buffers_.at(place.buffer);
    if (place.type == kElementType<T>) return view_->template at<T>(place.buffer);
    return view_->template at<float>(place.buffer);
  }
  template <typename U>
  U* of(const Place& place) const {
    return static_cast<U*>(of(place));
  }

 private:
  std::optional<BufferView<T, float>> view_;
  std::map<BufferId, void*> buffers_;
  std::byte* scratch_;
};

struct ConvolutionLaunch {
  ConvolutionProblem problem;
  Place x, w, y, bias{}, residual{};
};
struct GemmLaunch {
  GemmProblem problem;
  Place a, b, c{}, bias{}, d;
};
template <typename T>
struct KernelLaunch {
  std::function<void(const Addresses<T>&, StreamView)> launch;
  double bytes = 0;  // moved, counting large arrays only
};

template <typename T>
struct Launch {
  size_t operation;  // index in the program
  std::variant<ConvolutionLaunch, GemmLaunch, KernelLaunch<T>> what;
};

// T is float or BFloat16, the type of activations and of the weights that layers compute with.
template <typename T>
struct LaunchList {
  std::vector<Launch<T>> launches;  // in the order of operations
  size_t scratch_bytes = 0;         // shared: operations run one after another
  // The optional fusions considered, each with a bias; where the library does not fuse,
  // the launches are unfused.
  std::vector<ConvolutionProblem> convolution_fusions;
  std::vector<GemmProblem> gemm_fusions;

  // The problems to prepare the library for.
  LibraryProblems problems() const;
};

// The form of each upsampling convolution. All passes of a layer use one form, though they need not: all that
// they exchange is the same in both forms.
class UpsampleForms {
 public:
  explicit UpsampleForms(UpsampleForm form = UpsampleForm::kAuto) : form_(form) {}

  // kFolded or kNearest; with kAuto, kFolded until a form is chosen.
  UpsampleForm of(const UpsampleConv2dShape& shape) const;
  bool are_open() const { return form_ == UpsampleForm::kAuto; }
  void choose(const UpsampleConv2dShape& shape, UpsampleForm form) { chosen_.emplace_back(shape, form); }

 private:
  UpsampleForm form_;
  std::vector<std::pair<UpsampleConv2dShape, UpsampleForm>> chosen_;
};

// The library to query for optional fusions; null: do not fuse.
using Fusions = const VendorLibrary*;

// Lowers the program; `plan` says which buffers share memory.
template <typename T>
LaunchList<T> lower(const Program& program, const MemoryPlan& plan,
                    const UpsampleForms& forms = UpsampleForms(), Fusions fusions = nullptr);

// The launches of each operation, with resolved addresses.
using BoundOperations = std::vector<std::vector<LaunchFunction>>;

// Resolves the list's addresses. The library must be prepared for the list's problems. Library and
// memory must outlive the result.
template <typename T>
BoundOperations bind(const LaunchList<T>& list, size_t operations, const Addresses<T>& addresses,
                     VendorLibrary& library);

extern template struct LaunchList<float>;
extern template struct LaunchList<BFloat16>;
extern template LaunchList<float> lower(const Program&, const MemoryPlan&, const UpsampleForms&, Fusions);
extern template LaunchList<BFloat16> lower(const Program&, const MemoryPlan&, const UpsampleForms&, Fusions);
extern template BoundOperations bind(const LaunchList<float>&, size_t, const Addresses<float>&,
                                     VendorLibrary&);
extern template BoundOperations bind(const LaunchList<BFloat16>&, size_t, const Addresses<BFloat16>&,
                                     VendorLibrary&);

}  // namespace ddpm
