// A minimal XML parser to check the SVG files of this project: it rejects malformed text. No comments, no
// entities beyond the predefined five, no namespaces.
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ddpm {

struct XmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::string text;  // directly within it and within the elements in it

  double number(const std::string& attribute) const { return std::stod(attributes.at(attribute)); }
  bool has_class(const std::string& value) const {
    const auto found = attributes.find("class");
    return found != attributes.end() && found->second == value;
  }
};

class XmlParser {
 public:
  explicit XmlParser(std::string_view text) : text_(text) {}

  // All elements, outer before inner; std::runtime_error with the position if the text is malformed.
  std::vector<XmlElement> parse() {
    skip_space();
    parse_element();
    skip_space();
    if (at_ != text_.size()) fail("text after the outermost element");
    return elements_;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error("XML, byte " + std::to_string(at_) + ": " + what);
  }
  bool starts_with(std::string_view part) const { return text_.substr(at_).starts_with(part); }
  void expect(std::string_view part) {
    if (!starts_with(part)) fail("expected " + std::string(part));
    at_ += part.size();
  }
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  std::string parse_name() {
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '-'))
      ++at_;
    if (at_ == begin) fail("expected a name");
    return std::string(text_.substr(begin, at_ - begin));
  }
  char parse_character() {
    if (text_[at_] == '<') fail("a bare <");
    if (text_[at_] != '&') return text_[at_++];
    constexpr std::pair<std::string_view, char> kEntities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (const auto& [entity, character] : kEntities)
      if (starts_with(entity)) {
        at_ += entity.size();
        return character;
      }
    fail("a bare &");
  }
  void parse_attribute(XmlElement& element) {
    const std::string name = parse_name();
    expect("=\"");
    std::string value;
    while (at_ < text_.size() && text_[at_] != '"') value += parse_character();
    expect("\"");
    if (!element.attributes.emplace(name, value).second) fail("duplicate attribute " + name);
  }
  std::string parse_element() {
    expect("<");
    const size_t index = elements_.size();
    elements_.push_back({.name = parse_name(), .attributes = {}, .text = {}});
    const std::string name = elements_[index].name;
    for (skip_space(); at_ < text_.size() && !starts_with("/>") && !starts_with(">"); skip_space())
      parse_attribute(elements_[index]);
    if (starts_with("/>")) {
      at_ += 2;
      return {};
    }
    expect(">");
    std::string content;
    while (at_ < text_.size() && !starts_with("</"))
      if (starts_with("<"))
        content += parse_element();
      else
        content += parse_character();
    expect("</" + name);
    expect(">");
    return elements_[index].text = content;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<XmlElement> elements_;
};

inline std::vector<XmlElement> parse_xml(std::string_view text) { return XmlParser(text).parse(); }

// The elements of an SVG file with this class.
inline std::vector<XmlElement> elements_of_class(const std::vector<XmlElement>& all,
                                                 const std::string& value) {
  std::vector<XmlElement> some;
  std::copy_if(all.begin(), all.end(), std::back_inserter(some),
               [&](const XmlElement& element) { return element.has_class(value); });
  return some;
}

}  // namespace ddpm
