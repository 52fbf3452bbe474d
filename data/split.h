// The splits of a data set.
#pragma once

#include <string_view>

namespace ddpm {

// The first three values are those of CelebA's partition file.
enum class Split { kTrain = 0, kValidation = 1, kTest = 2, kAll };

// "train", "validation", "test", "all"; InputError for any other name.
Split split_from_name(std::string_view name);
std::string_view split_name(Split split);

}  // namespace ddpm
