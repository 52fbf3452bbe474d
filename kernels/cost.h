// An operation's minimal cost, to compare measured times with.
#pragma once

#include <cstdint>

namespace ddpm {

struct Cost {
  double flops = 0;  // a multiply-add counts as two
  double bytes = 0;  // each input read once, each output written once
};

}  // namespace ddpm
