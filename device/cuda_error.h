// CudaError.
#pragma once

#include <string>

#include "support/error_types.h"

namespace ddpm {

// A call of the CUDA runtime failed: what() gives the place, the expression, and the error's name and text.
class CudaError : public Error {
 public:
  CudaError(const std::string& message, int code) : Error(message), code_(code) {}
  int code() const { return code_; }  // cudaError_t

 private:
  int code_;
};

}  // namespace ddpm
