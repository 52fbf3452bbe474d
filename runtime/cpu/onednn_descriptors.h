// Hides the one difference between oneDNN 2 and 3 that matters here: version 2 collects a computation's parts
// in a `desc`; version 3 passes the same parts, in the same order, to the primitive descriptor.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

namespace ddpm::onednn {

// The descriptor of Primitive. `parts`: what oneDNN's reference lists between the engine and the attributes.
template <typename Primitive, typename... Parts>
typename Primitive::primitive_desc describe(const dnnl::engine& engine,
                                            const dnnl::primitive_attr& attributes, const Parts&... parts) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, parts..., attributes};
#else
  return {typename Primitive::desc(parts...), attributes, engine};
#endif
}

// The same for a backward primitive, which also takes the descriptor of its forward computation.
template <typename Primitive, typename Forward, typename... Parts>
typename Primitive::primitive_desc describe_backward(const dnnl::engine& engine,
                                                     const dnnl::primitive_attr& attributes,
                                                     const Forward& forward, const Parts&... parts) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, parts..., forward, attributes};
#else
  return {typename Primitive::desc(parts...), attributes, engine, forward};
#endif
}

}  // namespace ddpm::onednn
