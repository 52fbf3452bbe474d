// The names of a network's options, as diffusers has them, for our own configurations and for its files.
#pragma once

#include "kernels/diffusion.h"
#include "model/unet/unet.h"
#include "support/enum_names.h"

namespace ddpm {

inline constexpr EnumName<Prediction> kPredictions[] = {{Prediction::kEpsilon, "epsilon"},
                                                        {Prediction::kSample, "sample"},
                                                        {Prediction::kVelocity, "v_prediction"}};
inline constexpr EnumName<TimeModulation> kModulations[] = {{TimeModulation::kShift, "default"},
                                                            {TimeModulation::kScaleShift, "scale_shift"}};
inline constexpr EnumName<TimeEmbeddingType> kTimeEmbeddings[] = {
    {TimeEmbeddingType::kPositional, "positional"},
    {TimeEmbeddingType::kFourier, "fourier"},
    {TimeEmbeddingType::kLearned, "learned"}};
inline constexpr EnumName<ClassEmbedding> kClassEmbeddings[] = {{ClassEmbedding::kNone, "none"},
                                                                {ClassEmbedding::kTable, "table"},
                                                                {ClassEmbedding::kTimestep, "timestep"},
                                                                {ClassEmbedding::kIdentity, "identity"}};

}  // namespace ddpm
