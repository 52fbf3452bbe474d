// The error classes of this project, apart from support/error.h so that .cu files can throw them: fmt does
// not compile under nvcc.
#pragma once

#include <stdexcept>

namespace ddpm {

// Anything that this project reports: what() is one sentence.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The user's input is at fault: what() says what is wrong, where, and what to do about it. Exit code 2.
class InputError : public Error {
 public:
  using Error::Error;
};

// A step of this program's own logic does not hold: a defect, with its place. Exit code 1.
class LogicError : public Error {
 public:
  using Error::Error;
};

}  // namespace ddpm
