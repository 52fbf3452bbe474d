// The parts that data sets are divided into.
#pragma once

#include <string_view>

namespace ddpm {

// The first three have the numbers of CelebA's partition file.
enum class Split { kTrain = 0, kValidation = 1, kTest = 2, kAll };

// "train", "validation", "test", "all"; any other name is an InputError that lists these.
Split split_from_name(std::string_view name);
std::string_view split_name(Split split);

}  // namespace ddpm
