#include "data/dataset_card.h"

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace ddpm {

std::string to_json(const DatasetCard& card) {
  const nlohmann::ordered_json json = {
      {"source", card.source}, {"split", card.split},
      {"crop", card.crop},     {"filter", card.filter},
      {"count", card.count},   {"height", card.height},
      {"width", card.width},   {"channels", card.channels},
      {"hash", card.hash},     {"labels", {{"kind", card.label_kind}, {"names", card.label_names}}},
  };
  // A file's name may hold bytes that are no UTF-8: better a replacement character than no card.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

DatasetCard parse_dataset_card(const std::string& json, const std::filesystem::path& path) {
  try {
    const nlohmann::json card = nlohmann::json::parse(json);
    return {.source = card.at("source"),
            .split = card.at("split"),
            .crop = card.at("crop"),
            .filter = card.at("filter"),
            .count = card.at("count"),
            .height = card.at("height"),
            .width = card.at("width"),
            .channels = card.at("channels"),
            .hash = card.at("hash"),
            .label_kind = card.at("labels").at("kind"),
            .label_names = card.at("labels").at("names")};
  } catch (const nlohmann::json::exception& error) {
    throw_input("{}: not a data set's card ({}): remove it or prepare the data set again", path.string(),
                error.what());
  }
}

}  // namespace ddpm
