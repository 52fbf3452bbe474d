// One JSON object whose keys are all accounted for: a value is read with its default, and keys that were
// never read are refused. Internal to model/: it exposes the JSON library.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/enum_names.h"

namespace ddpm {

class JsonObject {
 public:
  // `where` names the file in errors. InputError if the text is not a JSON object.
  JsonObject(std::string_view text, std::string where);

  // InputError naming key and value if the value has another type. A null counts as absent.
  int integer(const char* key, int absent);
  double number(const char* key, double absent);
  bool boolean(const char* key, bool absent);
  std::string text(const char* key, const std::string& absent);
  std::vector<int> integers(const char* key, const std::vector<int>& absent);
  std::vector<double> numbers(const char* key, const std::vector<double>& absent);
  std::vector<std::string> texts(const char* key, const std::vector<std::string>& absent);
  template <typename Enum, size_t N>
  Enum choice(const char* key, const EnumName<Enum> (&table)[N], std::string_view absent) {
    const std::string name = text(key, std::string(absent));
    std::string names;
    for (const auto& entry : table) {
      if (entry.name == name) return entry.value;
      names += (names.empty() ? "" : ", ") + std::string(entry.name);
    }
    refuse(key, "expected " + names);
  }

  // Whether the key is there, null or not. The key counts as read.
  bool has(const char* key);
  bool is_null(const char* key);
  // These keys may be there, with any value.
  void ignore(const std::vector<std::string>& keys) { read_.insert(keys.begin(), keys.end()); }
  // InputError for the first key that was never read, except those that begin with '_', which are notes.
  void finish() const;

  // InputError: "FILE: KEY = VALUE is not supported: REASON".
  [[noreturn]] void refuse(const std::string& key, const std::string& reason) const;

 private:
  template <typename Value>
  Value value(const char* key, const Value& absent, const char* expected);

  std::string where_;
  nlohmann::json object_;
  std::set<std::string> read_;
};

}  // namespace ddpm
