#include "data/split.h"

#include "support/enum_names.h"

namespace ddpm {
namespace {

constexpr EnumName<Split> kSplits[] = {{Split::kTrain, "train"},
                                       {Split::kValidation, "validation"},
                                       {Split::kTest, "test"},
                                       {Split::kAll, "all"}};

}  // namespace

Split split_from_name(std::string_view name) { return parse_enum(kSplits, "split", name); }
std::string_view split_name(Split split) { return enum_name(kSplits, split); }

}  // namespace ddpm
