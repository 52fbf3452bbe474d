#include "model/sampling/condition.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "support/error.h"

namespace ddpm {
namespace {

bool has_attributes(const ConditionOptions& options) { return options.kind == ConditionKind::kAttributes; }
const char* kind_name(const ConditionOptions& options) {
  return has_attributes(options) ? "attributes" : "classes";
}

// Names are written as lists and in conditions.
void check_name(const std::string& name, const std::string& data) {
  if (name.empty() || name.find_first_of(",;=") != std::string::npos)
    throw_input(
        "{}: '{}' cannot be the name of a label, since it is empty or holds one of , ; =: rename it in the "
        "card",
        data, name);
}

std::vector<std::string> names_of(const Labels& labels, const std::string& data) {
  std::vector<std::string> names = labels.names;
  if (names.empty() && !labels.classes.empty()) {
    const int32_t last = *std::max_element(labels.classes.begin(), labels.classes.end());
    for (int32_t i = 0; i <= last; ++i) names.push_back(fmt::format("{}", i));
  }
  for (const std::string& name : names) check_name(name, data);
  return names;
}

// The index of the label that a text names, or -1.
int find_label(const ConditionOptions& options, const std::string& name) {
  const std::vector<std::string>& names = options.label_names;
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? -1 : static_cast<int>(found - names.begin());
}

int parse_class(const ConditionOptions& options, const std::string& text) {
  if (const int known = find_label(options, text); known >= 0) return known;
  int number = -1;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, number);
  const auto count = static_cast<int>(options.label_names.size());
  if (code == std::errc() && stop == end && number >= 0 && number < count) return number;
  throw_input("there is no class '{}': choose one of {}, or a number from 0 to {}", text,
              fmt::join(options.label_names, ", "), count - 1);
}

struct Attribute {
  int index;
  bool is_set;
};

Attribute parse_attribute(const ConditionOptions& options, const std::string& text) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const int index = find_label(options, name);
  if (index < 0)
    throw_input("there is no attribute '{}': choose among {}", name, fmt::join(options.label_names, ", "));
  const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
  if (value != "0" && value != "1") throw_input("'{}': write {}=1 or {}=0", text, name, name);
  return {index, value == "1"};
}

// The columns of a row of attributes.
size_t column_of(const Attribute& attribute) {
  return 2 * static_cast<size_t>(attribute.index) + (attribute.is_set ? 1 : 0);
}

ConditionRow zeros(const ConditionOptions& options) {
  return ConditionRow(static_cast<size_t>(labels_shape(options).columns()));
}

}  // namespace

ConditionOptions with_names_of(const ConditionOptions& options, const Labels& labels,
                               const std::string& data) {
  if (options.kind == ConditionKind::kNone) return options;
  const LabelKind wanted = has_attributes(options) ? LabelKind::kAttributes : LabelKind::kClasses;
  if (labels.kind == LabelKind::kNone)
    throw_input(
        "{} has no labels, but condition = {} needs them: prepare a data set that has, or train without a "
        "condition",
        data, kind_name(options));
  if (labels.kind != wanted)
    throw_input("{} has labels of the kind {}, but condition = {}: set it to {}", data,
                label_kind_name(labels.kind), kind_name(options), label_kind_name(labels.kind));
  ConditionOptions named = options;
  named.label_names = names_of(labels, data);
  if (!options.label_names.empty() && options.label_names != named.label_names)
    throw_input("{} has the labels {}, but the network was trained with {}: give data with the same labels",
                data, fmt::join(named.label_names, ", "), fmt::join(options.label_names, ", "));
  return named;
}

LabelParams labels_shape(const ConditionOptions& options) {
  DDPM_CHECK(options.kind != ConditionKind::kNone && !options.label_names.empty());
  const auto names = static_cast<int>(options.label_names.size());
  if (has_attributes(options))
    return {
        .fields = names, .values = 2, .dropout = options.dropout, .field_dropout = options.attribute_dropout};
  return {.fields = 1, .values = names, .null = NullCondition::kLastColumn, .dropout = options.dropout};
}

std::vector<float> label_table(const ConditionOptions& options, const Labels& labels) {
  if (has_attributes(options)) return {labels.attributes.begin(), labels.attributes.end()};
  return {labels.classes.begin(), labels.classes.end()};
}

ConditionRow no_condition(const ConditionOptions& options) {
  ConditionRow row = zeros(options);
  if (!has_attributes(options)) row.back() = 1;
  return row;
}

ConditionRow condition_of_image(const ConditionOptions& options, const Labels& labels, int64_t i) {
  ConditionRow row = zeros(options);
  if (!has_attributes(options)) {
    row.at(static_cast<size_t>(labels.classes.at(static_cast<size_t>(i)))) = 1;
    return row;
  }
  const auto attributes = static_cast<int>(options.label_names.size());
  for (int a = 0; a < attributes; ++a)
    row.at(column_of({a, labels.attributes.at(static_cast<size_t>(i * attributes + a)) != 0})) = 1;
  return row;
}

ConditionRow parse_condition(const ConditionOptions& options, const std::string& text) {
  ConditionRow row = zeros(options);
  if (!has_attributes(options)) {
    row[static_cast<size_t>(parse_class(options, text))] = 1;
    return row;
  }
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    const Attribute attribute = parse_attribute(options, part);
    if (row[column_of({attribute.index, !attribute.is_set})] != 0)
      throw_input("'{}': {} is said to be both 0 and 1", text, options.label_names[attribute.index]);
    row[column_of(attribute)] = 1;
  }
  return row;
}

std::vector<ConditionRow> every_class(const ConditionOptions& options) {
  DDPM_CHECK(options.kind == ConditionKind::kClasses);
  std::vector<ConditionRow> rows(options.label_names.size(), zeros(options));
  for (size_t k = 0; k < rows.size(); ++k) rows[k][k] = 1;
  return rows;
}

void validate(const ConditionOptions& options) {
  if (!(options.dropout >= 0 && options.dropout < 1))
    throw_input("condition_dropout = {}: it must be in [0, 1)", options.dropout);
  if (!(options.attribute_dropout >= 0 && options.attribute_dropout <= 1))
    throw_input("attribute_dropout = {}: it must be in [0, 1]", options.attribute_dropout);
}

}  // namespace ddpm
