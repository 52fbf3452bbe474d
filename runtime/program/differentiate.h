// The backward pass of a Program, appended to it.
#pragma once

#include "runtime/program/program.h"

namespace ddpm {

struct Differentiation {
  BufferId output;           // whose gradient is given
  BufferId output_gradient;  // the given gradient, shaped as output
  // A buffer whose gradient is wanted although no parameter lies before it (the network's input, in tests).
  BufferId wanted_input = kNoBuffer;
};

// Walks the program's forward operations in reverse and appends, for each that a parameter's gradient depends
// on, the operations of its hand-written backward pass. Parameter gradients are accumulated into the gradient
// arena. Where several gradients reach one buffer, the operation that produces the next one adds the others
// in passing. Returns the gradient of wanted_input (kNoBuffer where none was wanted).
BufferId differentiate(Program& program, const Differentiation& request);

}  // namespace ddpm
