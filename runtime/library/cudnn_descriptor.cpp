#include "runtime/library/cudnn_descriptor.h"

#include <algorithm>
#include <array>

namespace ddpm {
namespace {

std::string explain(cudnnStatus_t status, const char* call, const char* file, int line) {
  std::array<char, 1024> detail{};
  cudnnGetLastErrorString(detail.data(), detail.size());
  return fmt::format("{}:{}: cuDNN returned {} ({}) from {}: {}", file, line, cudnnGetErrorString(status),
                     static_cast<int>(status), call, detail.data());
}

}  // namespace

CudnnError::CudnnError(cudnnStatus_t status, const char* call, const char* file, int line)
    : Error(explain(status, call, file, line)), status_(status) {}

CudnnDescriptor::CudnnDescriptor(cudnnBackendDescriptorType_t type) {
  DDPM_CUDNN_CHECK(cudnnBackendCreateDescriptor(type, &descriptor_));
}

CudnnDescriptor::~CudnnDescriptor() {
  if (descriptor_ != nullptr) cudnnBackendDestroyDescriptor(descriptor_);
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                          const void* values, int64_t count) {
  DDPM_CUDNN_CHECK(cudnnBackendSetAttribute(descriptor_, name, type, count, values));
}

void CudnnDescriptor::finalize() { DDPM_CUDNN_CHECK(cudnnBackendFinalize(descriptor_)); }

int64_t CudnnDescriptor::get_int(cudnnBackendAttributeName_t name) const {
  int64_t value = 0, count = 0;
  DDPM_CUDNN_CHECK(cudnnBackendGetAttribute(descriptor_, name, CUDNN_TYPE_INT64, 1, &count, &value));
  return value;
}

std::string CudnnDescriptor::get_text(cudnnBackendAttributeName_t name) const {
  int64_t count = 0;
  DDPM_CUDNN_CHECK(cudnnBackendGetAttribute(descriptor_, name, CUDNN_TYPE_CHAR, 0, &count, nullptr));
  std::string text(static_cast<size_t>(count), '\0');
  DDPM_CUDNN_CHECK(cudnnBackendGetAttribute(descriptor_, name, CUDNN_TYPE_CHAR, count, &count, text.data()));
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

std::vector<CudnnDescriptor> CudnnDescriptor::get_descriptors(cudnnBackendAttributeName_t name,
                                                              cudnnBackendDescriptorType_t type,
                                                              int64_t limit) const {
  int64_t available = 0;
  DDPM_CUDNN_CHECK(
      cudnnBackendGetAttribute(descriptor_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &available, nullptr));
  std::vector<CudnnDescriptor> found;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < std::min(available, limit); ++i) raw.push_back(found.emplace_back(type).get());
  int64_t filled = 0;
  if (!raw.empty())
    DDPM_CUDNN_CHECK(cudnnBackendGetAttribute(descriptor_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                              static_cast<int64_t>(raw.size()), &filled, raw.data()));
  found.erase(found.begin() + filled, found.end());
  return found;
}

}  // namespace ddpm
