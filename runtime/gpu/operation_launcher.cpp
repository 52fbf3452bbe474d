#include "runtime/gpu/operation_launcher.h"

#include <variant>

#include "kernels/cuda/kernels.h"
#include "runtime/library/product_operations.h"
#include "support/overloaded.h"

namespace ddpm {
namespace {

struct ScratchBytesOf {
  size_t operator()(const GroupNorm& op) const { return cuda::group_norm_scratch_bytes(op.shape); }
  size_t operator()(const GroupNormBackward& op) const {
    return cuda::group_norm_backward_scratch_bytes(op.forward.shape);
  }
  size_t operator()(const Diffuse& op) const { return cuda::diffuse_scratch_bytes(op.shape); }
  size_t operator()(const Loss& op) const { return cuda::loss_scratch_bytes(op.shape); }
  size_t operator()(const AdamEma& op) const { return cuda::adam_ema_scratch_bytes(op.shape); }
  template <typename Op>
  size_t operator()(const Op&) const {
    return 0;
  }
};

// The table that the sampler's host side wrote as plain numbers.
const SamplerRow<float>* sampler_rows(const float* table) {
  return reinterpret_cast<const SamplerRow<float>*>(table);
}

// The operations that are a kernel of our own each.
template <typename T>
class KernelOperations {
 public:
  explicit KernelOperations(const LaunchContext<T>& context)
      : memory_(context.memory), scratch_(context.scratch), stream_(context.stream) {}

  void operator()(const GroupNorm& op) const {
    cuda::group_norm<T>(op.shape,
                        {.x0 = real(op.x0),
                         .x1 = real(op.x1),
                         .shift = memory_.column(op.shift, op.shift_column),
                         .bias = master(op.bias),
                         .gamma = master(op.gamma),
                         .beta = master(op.beta),
                         .film = memory_.column(op.film, op.film_column),
                         .y = real(op.y),
                         .mean = master(op.mean),
                         .rstd = master(op.rstd),
                         .dropout = {op.seed, index(op.step)}},
                        scratch_, stream_);
  }
  void operator()(const GroupNormBackward& op) const {
    const GroupNorm& forward = op.forward;
    cuda::group_norm_backward<T>(forward.shape,
                                 {.dy = real(op.dy),
                                  .x0 = real(forward.x0),
                                  .x1 = real(forward.x1),
                                  .shift = memory_.column(forward.shift, forward.shift_column),
                                  .bias = master(forward.bias),
                                  .gamma = master(forward.gamma),
                                  .beta = master(forward.beta),
                                  .film = memory_.column(forward.film, forward.film_column),
                                  .mean = master(forward.mean),
                                  .rstd = master(forward.rstd),
                                  .dx0_addends = {real(op.dx0_addends[0]), real(op.dx0_addends[1])},
                                  .dx1_addends = {real(op.dx1_addends[0]), real(op.dx1_addends[1])},
                                  .dx0 = real(op.dx0),
                                  .dx1 = real(op.dx1),
                                  .dshift = memory_.column(op.dshift, forward.shift_column),
                                  .dbias = master(op.dbias),
                                  .dgamma = master(op.dgamma),
                                  .dbeta = master(op.dbeta),
                                  .dfilm = memory_.column(op.dfilm, forward.film_column),
                                  .dropout = {forward.seed, index(forward.step)}},
                                 scratch_, stream_);
  }

  void operator()(const TimeEmbedding& op) const {
    cuda::time_embedding<T>(op.shape, {master(op.t), master(op.frequencies), real(op.y)}, stream_);
  }
  void operator()(const Add& op) const {
    cuda::add<T>(op.count, real(op.a), real(op.b), real(op.y), stream_);
  }
  void operator()(const UpsampleNearest& op) const {
    cuda::upsample_nearest<T>(op.shape, {real(op.x), real(op.residual), real(op.y)}, stream_);
  }
  void operator()(const SumPool& op) const {
    cuda::sum_pool<T>(op.shape, {real(op.x), real(op.residual), real(op.y)}, stream_);
  }
  void operator()(const Rescale& op) const {
    cuda::rescale<T>(op.shape, {real(op.x), master(op.divisor), real(op.y)}, stream_);
  }
  void operator()(const OneHot& op) const {
    cuda::one_hot<T>(op.shape, {master(op.index), real(op.y)}, stream_);
  }

  void operator()(const Diffuse& op) const {
    cuda::diffuse<T>(op.shape,
                     {.dataset = memory_.byte(op.dataset),
                      .signal = master(op.signal),
                      .noise = master(op.noise),
                      .step = index(op.step),
                      .x_t = real(op.x_t),
                      .t = master(op.t),
                      .index = nullptr},
                     scratch_, stream_);
  }
  void operator()(const GatherLabels& op) const {
    cuda::gather_labels<T>(op.shape, {master(op.labels), index(op.step), real(op.y)}, stream_);
  }
  void operator()(const Loss& op) const {
    cuda::loss<T>(op.shape,
                  {.prediction = real(op.prediction),
                   .dataset = memory_.byte(op.dataset),
                   .signal = master(op.signal),
                   .noise = master(op.noise),
                   .weight = master(op.weight),
                   .t = master(op.t),
                   .step = index(op.step),
                   .dprediction = real(op.dprediction),
                   .image_loss = master(op.image_loss)},
                  scratch_, stream_);
  }

  void operator()(const ZeroGradients&) const { fill_bytes(memory_.gradients(), 0, stream_); }
  void operator()(const AdamEma& op) const {
    cuda::adam_ema(op.shape,
                   {.step = index(op.step),
                    .gradients = memory_.gradients().data(),
                    .parameters = memory_.parameters().data(),
                    .m = master(op.m),
                    .v = master(op.v),
                    .ema = master(op.ema),
                    .gradient_norm = master(op.gradient_norm),
                    .learning_rate = master(op.learning_rate)},
                   memory_.compute_weights().data(), scratch_, stream_);
  }
  void operator()(const AdvanceCounter& op) const { cuda::advance_counter(index(op.counter), stream_); }

  void operator()(const SamplerStart& op) const {
    cuda::sampler_start<T>(op.shape,
                           {.table = sampler_rows(master(op.table)),
                            .first_image = index(op.first_image),
                            .x = master(op.x),
                            .network_input = real(op.network_input),
                            .t = master(op.t)},
                           stream_);
  }
  void operator()(const Guidance& op) const {
    cuda::guidance<T>(op.shape, {real(op.answers), real(op.y)}, stream_);
  }
  void operator()(const DynamicThreshold& op) const {
    cuda::dynamic_threshold<T>(op.shape,
                               {.output = real(op.output),
                                .table = sampler_rows(master(op.table)),
                                .index = index(op.index),
                                .x = master(op.x),
                                .threshold = master(op.threshold)},
                               stream_);
  }
  void operator()(const SamplerStep& op) const {
    cuda::sampler_step<T>(op.shape,
                          {.output = real(op.output),
                           .table = sampler_rows(master(op.table)),
                           .index = index(op.index),
                           .first_image = index(op.first_image),
                           .x = master(op.x),
                           .memory = master(op.memory),
                           .threshold = master(op.threshold),
                           .network_input = real(op.network_input),
                           .t = master(op.t)},
                          stream_);
  }

 private:
  T* real(BufferId id) const { return memory_.real(id); }
  float* master(BufferId id) const { return memory_.master(id); }
  int64_t* index(BufferId id) const { return memory_.index(id); }

  const GpuMemory<T>& memory_;
  void* scratch_;
  StreamView stream_;
};

}  // namespace

size_t scratch_bytes(const AnyOperation& operation) { return std::visit(ScratchBytesOf{}, operation); }

template <typename T>
void launch_operation(const AnyOperation& operation, const LaunchContext<T>& context) {
  ProductRun steps = context.products.layer(context.stream);
  std::visit(Overloaded{ProductOperations<T, GpuMemory<T>>(steps, context.memory, context.products.options()),
                        KernelOperations<T>(context)},
             operation);
}

template void launch_operation(const AnyOperation&, const LaunchContext<float>&);
template void launch_operation(const AnyOperation&, const LaunchContext<BFloat16>&);

}  // namespace ddpm
