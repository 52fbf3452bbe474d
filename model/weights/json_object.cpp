#include "model/weights/json_object.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "support/error.h"

namespace ddpm {
namespace {

// Whether the JSON value can be read as a Value without loss.
bool is(const nlohmann::json& json, const bool&) { return json.is_boolean(); }
bool is(const nlohmann::json& json, const double&) { return json.is_number(); }
bool is(const nlohmann::json& json, const std::string&) { return json.is_string(); }
bool is(const nlohmann::json& json, const int&) {
  if (!json.is_number()) return false;
  const double value = json.get<double>();
  return value >= std::numeric_limits<int>::min() && value <= std::numeric_limits<int>::max() &&
         value == std::floor(value);  // 2.0 is a whole number too
}
template <typename Value>
bool is(const nlohmann::json& json, const std::vector<Value>&) {
  return json.is_array() &&
         std::all_of(json.begin(), json.end(), [](const auto& element) { return is(element, Value()); });
}

}  // namespace

JsonObject::JsonObject(std::string_view text, std::string where) : where_(std::move(where)) {
  object_ = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object_.is_object()) throw_input("{}: expected a JSON object; the file may be damaged", where_);
}

template <typename Value>
Value JsonObject::value(const char* key, const Value& absent, const char* expected) {
  if (is_null(key)) return absent;
  const nlohmann::json& found = object_.at(key);
  if (!is(found, absent)) refuse(key, std::string("expected ") + expected);
  return found.get<Value>();
}

int JsonObject::integer(const char* key, int absent) { return value(key, absent, "a whole number"); }
double JsonObject::number(const char* key, double absent) { return value(key, absent, "a number"); }
bool JsonObject::boolean(const char* key, bool absent) { return value(key, absent, "true or false"); }
std::string JsonObject::text(const char* key, const std::string& absent) {
  return value(key, absent, "a string");
}
std::vector<int> JsonObject::integers(const char* key, const std::vector<int>& absent) {
  return value(key, absent, "a list of whole numbers");
}
std::vector<double> JsonObject::numbers(const char* key, const std::vector<double>& absent) {
  return value(key, absent, "a list of numbers");
}
std::vector<std::string> JsonObject::texts(const char* key, const std::vector<std::string>& absent) {
  return value(key, absent, "a list of strings");
}

bool JsonObject::has(const char* key) {
  read_.insert(key);
  return object_.contains(key);
}

bool JsonObject::is_null(const char* key) { return !has(key) || object_.at(key).is_null(); }

void JsonObject::finish() const {
  for (const auto& [key, value] : object_.items())
    if (!key.starts_with('_') && !read_.contains(key)) refuse(key, "unknown key");
}

void JsonObject::refuse(const std::string& key, const std::string& reason) const {
  const auto found = object_.find(key);
  throw_input("{}: {} = {} is not supported: {}", where_, key,
              found == object_.end() ? std::string("(absent)")
                                     : found->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
              reason);
}

}  // namespace ddpm
