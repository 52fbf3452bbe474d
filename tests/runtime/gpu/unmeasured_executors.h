// Executors of the linked backend. On a GPU they use the first plan proposed, since autotuning would take the
// time of a whole step per problem and write to the user's cache.
#pragma once

#include "runtime/gpu/backend.h"

namespace ddpm {

inline ExecutorFactory unmeasured_executors(ComputePrecision precision,
                                            UpsampleForm upsample = UpsampleForm::kFolded) {
  return gpu_executors(
      precision, {.upsample = upsample, .plan_choice = PlanChoice::kFirstProposed, .plan_cache = "none"});
}

}  // namespace ddpm
