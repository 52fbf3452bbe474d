// Owning wrappers of cuDNN's backend descriptors, with errors as exceptions. NVIDIA's header-only C++ front
// end would cost minutes of compile time for the little that convolutions need.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "support/error.h"

namespace ddpm {

// A failed cuDNN call: what() has the call, its location, the status and cuDNN's explanation.
class CudnnError : public Error {
 public:
  CudnnError(cudnnStatus_t status, const char* call, const char* file, int line);
  cudnnStatus_t status() const { return status_; }

 private:
  cudnnStatus_t status_;
};

#define DDPM_CUDNN_CHECK(call)                                                         \
  do {                                                                                 \
    if (const cudnnStatus_t ddpm_status = (call); ddpm_status != CUDNN_STATUS_SUCCESS) \
      throw ::ddpm::CudnnError(ddpm_status, #call, __FILE__, __LINE__);                \
  } while (false)

// cuDNN's context for one thread and one GPU.
class CudnnHandle {
 public:
  CudnnHandle() { DDPM_CUDNN_CHECK(cudnnCreate(&handle_)); }
  ~CudnnHandle() { cudnnDestroy(handle_); }
  CudnnHandle(const CudnnHandle&) = delete;
  CudnnHandle& operator=(const CudnnHandle&) = delete;
  cudnnHandle_t get() const { return handle_; }

 private:
  cudnnHandle_t handle_ = nullptr;
};

// A backend descriptor; move-only. Set the attributes, then finalize() before use.
class CudnnDescriptor {
 public:
  explicit CudnnDescriptor(cudnnBackendDescriptorType_t type);
  ~CudnnDescriptor();
  CudnnDescriptor(CudnnDescriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  CudnnDescriptor& operator=(CudnnDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  CudnnDescriptor(const CudnnDescriptor&) = delete;
  CudnnDescriptor& operator=(const CudnnDescriptor&) = delete;

  cudnnBackendDescriptor_t get() const { return descriptor_; }

  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const void* values,
           int64_t count);
  void set(cudnnBackendAttributeName_t name, int64_t value) { set(name, CUDNN_TYPE_INT64, &value, 1); }
  void set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
    set(name, CUDNN_TYPE_INT64, values.data(), static_cast<int64_t>(values.size()));
  }
  void set(cudnnBackendAttributeName_t name, float value) { set(name, CUDNN_TYPE_FLOAT, &value, 1); }
  void set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
    set(name, CUDNN_TYPE_DATA_TYPE, &value, 1);
  }
  void set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
    const cudnnBackendDescriptor_t raw = value.get();
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, &raw, 1);
  }
  void finalize();

  int64_t get_int(cudnnBackendAttributeName_t name) const;
  std::string get_text(cudnnBackendAttributeName_t name) const;
  // All values of an attribute of enumerators.
  template <typename Enum>
  std::vector<Enum> get_enums(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
    int64_t count = 0;
    DDPM_CUDNN_CHECK(cudnnBackendGetAttribute(descriptor_, name, type, 0, &count, nullptr));
    std::vector<Enum> values(static_cast<size_t>(count));
    if (count > 0)
      DDPM_CUDNN_CHECK(cudnnBackendGetAttribute(descriptor_, name, type, count, &count, values.data()));
    return values;
  }
  // The attribute's descriptors, all of the given type, at most `limit`.
  std::vector<CudnnDescriptor> get_descriptors(cudnnBackendAttributeName_t name,
                                               cudnnBackendDescriptorType_t type, int64_t limit) const;

 private:
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

}  // namespace ddpm
