#include "data/dataset_card.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "support/error.h"

namespace ddpm {
namespace {

// One of the array's sizes; the JSON library would turn 1e300 into some integer, too.
int64_t size_of(const nlohmann::json& card, const char* key, int64_t most) {
  const nlohmann::json& value = card.at(key);
  if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(most))
    throw_input("{} = {} is not a size", key, value.dump());
  return value.get<int64_t>();
}

int side_of(const nlohmann::json& card, const char* key) {
  return static_cast<int>(size_of(card, key, std::numeric_limits<int>::max()));
}

}  // namespace

std::string to_json(const DatasetCard& card) {
  const nlohmann::ordered_json json = {
      {"source", card.source}, {"split", card.split},
      {"crop", card.crop},     {"filter", card.filter},
      {"count", card.count},   {"height", card.height},
      {"width", card.width},   {"channels", card.channels},
      {"hash", card.hash},     {"labels", {{"kind", card.label_kind}, {"names", card.label_names}}},
  };
  // File names need not be UTF-8: better a replacement character than no card.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

DatasetCard parse_dataset_card(const std::string& json, const std::filesystem::path& path) {
  try {
    const nlohmann::json card = nlohmann::json::parse(json);
    return {.source = card.at("source"),
            .split = card.at("split"),
            .crop = card.at("crop"),
            .filter = card.at("filter"),
            .count = size_of(card, "count", std::numeric_limits<int64_t>::max()),
            .height = side_of(card, "height"),
            .width = side_of(card, "width"),
            .channels = side_of(card, "channels"),
            .hash = card.at("hash"),
            .label_kind = card.at("labels").at("kind"),
            .label_names = card.at("labels").at("names")};
  } catch (const std::exception& error) {
    throw_input("{}: not a data set's card ({}): remove it or prepare the data set again", path.string(),
                error.what());
  }
}

}  // namespace ddpm
