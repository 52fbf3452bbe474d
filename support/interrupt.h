// Whether the user asked the program to stop (SIGINT, SIGTERM).
#pragma once

namespace ddpm {

// From here on the first SIGINT or SIGTERM only raises the flag below, so that a loop can finish its step and
// save; the second one ends the process at once.
void install_interrupt_handler();

bool interrupted();

}  // namespace ddpm
