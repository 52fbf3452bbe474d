// What an operation costs at the least: the numbers beside which a measured time is read.
#pragma once

#include <cstdint>

namespace ddpm {

struct Cost {
  double flops = 0;  // a multiply-add counts as two
  double bytes = 0;  // each input read once, each output written once
};

}  // namespace ddpm
