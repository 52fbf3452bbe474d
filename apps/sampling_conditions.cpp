#include "apps/sampling_conditions.h"

#include "support/error.h"

namespace ddpm {
namespace {

// What the model wants, behind "this model".
const char* kind_of_model(const TrainConfig& config) {
  switch (config.condition.kind) {
    case ConditionKind::kClasses:
      return "is conditional on classes: use --class";
    case ConditionKind::kAttributes:
      return "is conditional on attributes: use --attr";
    case ConditionKind::kNone:
      break;
  }
  return "has no condition: it can be trained with one by ddpm_train --condition";
}

// A table of embeddings from elsewhere, whose rows have no names.
bool has_nameless_table(const TrainConfig& config) {
  return config.condition.kind == ConditionKind::kNone &&
         config.network.class_embedding == ClassEmbedding::kTable;
}

// Its rows by number, every one in turn where no --class is given.
Conditioning conditioning_by_number(const SamplingCommand& command, int rows) {
  ConditionOptions numbered{.kind = ConditionKind::kClasses};
  for (int i = 0; i < rows; ++i) numbered.label_names.push_back(std::to_string(i));
  Conditioning conditioning;
  for (const std::string& text : command.classes)
    conditioning.rows.push_back(parse_condition(numbered, text));
  if (conditioning.rows.empty()) conditioning.rows = every_class(numbered);
  // Whether one of the rows means "no condition" is not known.
  for (ConditionRow& row : conditioning.rows) row.pop_back();
  return conditioning;
}

void check(const SamplingCommand& command, const TrainConfig& config) {
  const bool has_classes = !command.classes.empty(), has_attributes = !command.attributes.empty();
  if (has_classes && config.condition.kind != ConditionKind::kClasses && !has_nameless_table(config))
    throw_input("--class {}: this model {}", command.classes.front(), kind_of_model(config));
  if (has_attributes && config.condition.kind != ConditionKind::kAttributes)
    throw_input("--attr {}: this model {}", command.attributes.front(), kind_of_model(config));
  if (!(command.guidance >= 0)) throw_input("--guidance {}: it must be at least 0", command.guidance);
  if (command.guidance == 1) return;
  if (has_nameless_table(config))
    throw_input(
        "--guidance {}: which row of this model's table means no condition is not known, so there is nothing "
        "to "
        "lead away from",
        command.guidance);
  if (config.condition.kind == ConditionKind::kNone)
    throw_input("--guidance {}: this model {}", command.guidance, kind_of_model(config));
  if (config.condition.dropout == 0)
    throw_input(
        "--guidance {}: this model was trained with condition_dropout = 0, so it has no answer without a "
        "condition, "
        "from which guidance leads away",
        command.guidance);
}

}  // namespace

Conditioning conditioning_of(const SamplingCommand& command, const TrainConfig& config) {
  check(command, config);
  const ConditionOptions& condition = config.condition;
  if (has_nameless_table(config)) return conditioning_by_number(command, config.network.num_class_embeds);
  if (condition.kind == ConditionKind::kNone) return {};
  Conditioning conditioning{.guidance_scale = command.guidance, .none = no_condition(condition)};
  for (const std::vector<std::string>* texts : {&command.classes, &command.attributes})
    for (const std::string& text : *texts) conditioning.rows.push_back(parse_condition(condition, text));
  if (!conditioning.rows.empty()) return conditioning;
  if (condition.kind == ConditionKind::kClasses)
    conditioning.rows = every_class(condition);
  else
    conditioning.rows = {conditioning.none};
  return conditioning;
}

}  // namespace ddpm
