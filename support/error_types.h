// The error classes, separate from support/error.h so that .cu files can throw them: fmt does not
// compile under nvcc.
#pragma once

#include <stdexcept>

namespace ddpm {

// Base class of everything this project throws; what() is one sentence.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The user's input is wrong: what() says what, where, and what to do about it. Exit code 2.
class InputError : public Error {
 public:
  using Error::Error;
};

// A bug: a precondition or an invariant of this project does not hold. Exit code 1.
class LogicError : public Error {
 public:
  using Error::Error;
};

}  // namespace ddpm
