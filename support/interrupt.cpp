#include "support/interrupt.h"

#include <csignal>

namespace ddpm {
namespace {

// The only kind of object that a signal handler may write.
volatile std::sig_atomic_t interrupt_raised = 0;

void raise_flag(int signal_number) {
  interrupt_raised = 1;
  std::signal(signal_number, SIG_DFL);
}

}  // namespace

void install_interrupt_handler() {
  std::signal(SIGINT, raise_flag);
  std::signal(SIGTERM, raise_flag);
}

bool interrupted() { return interrupt_raised != 0; }

}  // namespace ddpm
