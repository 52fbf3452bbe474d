// Cooperative handling of SIGINT and SIGTERM.
#pragma once

namespace ddpm {

// After this call the first SIGINT or SIGTERM only sets a flag, so that a loop can finish its step and save;
// the second one ends the process.
void install_interrupt_handler();

// Whether the flag is set.
bool interrupted();

}  // namespace ddpm
