// The exception for failed CUDA runtime calls.
#pragma once

#include <string>

#include "support/error_types.h"

namespace ddpm {

// what() gives the call site, the expression, and the name and text of the error.
class CudaError : public Error {
 public:
  CudaError(const std::string& message, int code) : Error(message), code_(code) {}
  int code() const { return code_; }  // cudaError_t

 private:
  int code_;
};

}  // namespace ddpm
