# Kernel sources, compiled by nvcc for the GPU (here) and by the host compiler for the emulator (kernels/emulated).
set(DDPM_KERNEL_SOURCES
  adam_ema.cu
  diffusion.cu
  dynamic_threshold.cu
  elementwise.cu
  flush_cache.cu
  group_norm.cu
  group_norm_backward.cu
  guidance.cu
  labels.cu
  layout.cu
  sampled_elements.cu
  resample.cu
  sampler_step.cu
  softmax.cu
  time_embedding.cu
  upsample_weight.cu)
list(TRANSFORM DDPM_KERNEL_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
