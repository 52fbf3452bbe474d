// Appends the backward pass to a Program.
#pragma once

#include "runtime/program/program.h"

namespace ddpm {

struct Differentiation {
  BufferId output;           // its gradient is given
  BufferId output_gradient;  // the given gradient, shaped like output
  // A buffer to differentiate by although no parameter precedes it (the network's input, in tests).
  BufferId wanted_input = kNoBuffer;
};

// Walks the forward operations in reverse. For each that a parameter's gradient depends on, it appends the
// operations of its hand-written backward pass. Parameter gradients accumulate in the gradient arena. If
// several gradients reach one buffer, the operation that produces the next one also adds the earlier ones.
// Returns the gradient of wanted_input (kNoBuffer without one).
BufferId differentiate(Program& program, const Differentiation& request);

}  // namespace ddpm
