// Executors of the linked backend for tests: on a GPU their plans are the first proposed, since measuring
// would take the time of a whole step for each product and write to the user's cache. Tests only; depends on
// runtime/gpu/backend.h.
#pragma once

#include "runtime/gpu/backend.h"

namespace ddpm {

inline ExecutorFactory unmeasured_executors(ComputePrecision precision,
                                            UpsampleForm upsample = UpsampleForm::kFolded) {
  return gpu_executors(
      precision, {.upsample = upsample, .plan_choice = PlanChoice::kFirstProposed, .plan_cache = "none"});
}

}  // namespace ddpm
