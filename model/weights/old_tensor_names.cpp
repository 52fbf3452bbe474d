#include "model/weights/old_tensor_names.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <vector>

namespace ddpm {
namespace {

using Words = std::vector<std::string>;

struct Renaming {
  std::string_view old_name;
  std::string_view present_name;
};

constexpr Renaming kAttention[] = {
    {"query", "to_q"}, {"key", "to_k"}, {"value", "to_v"}, {"proj_attn", "to_out.0"}};
constexpr Renaming kDdimAttention[] = {
    {"norm", "group_norm"}, {"q", "to_q"}, {"k", "to_k"}, {"v", "to_v"}, {"proj_out", "to_out.0"}};
constexpr Renaming kDdimResnet[] = {{"temb_proj", "time_emb_proj"}, {"nin_shortcut", "conv_shortcut"}};
constexpr Renaming kDdimMiddle[] = {
    {"block_1", "resnets.0"}, {"attn_1", "attentions.0"}, {"block_2", "resnets.1"}};

Words split(std::string_view name) {
  Words words;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    words.emplace_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

std::string join(const Words& words) {
  std::string name;
  for (const std::string& word : words) name += word + '.';
  name.pop_back();
  return name;
}

template <size_t N>
void rename(std::string& word, const Renaming (&table)[N]) {
  for (const Renaming& renaming : table)
    if (word == renaming.old_name) {
      word = renaming.present_name;
      return;
    }
}

// "up.0.block.1.temb_proj.weight" -> "up_blocks.3.resnets.1.time_emb_proj.weight"
void rename_ddim_level(Words& words, int levels) {
  if (words[0] == "up") {
    int level = 0;
    const auto [end, error] = std::from_chars(words[1].data(), words[1].data() + words[1].size(), level);
    if (error != std::errc() || end != words[1].data() + words[1].size()) return;
    words[1] = std::to_string(levels - 1 - level);
  }
  if (words[2] == "block") {
    words[2] = "resnets";
    rename(words[4], kDdimResnet);
  } else if (words[2] == "attn") {
    words[2] = "attentions";
    rename(words[4], kDdimAttention);
  } else if (words[2] == "downsample" || words[2] == "upsample") {
    words[2] += "rs.0";  // "downsamplers.0"
  }
  words[0] += "_blocks";
}

void rename_ddim_middle(Words& words) {
  if (words[1] == "attn_1") rename(words[2], kDdimAttention);
  if (words[1].starts_with("block_")) rename(words[2], kDdimResnet);
  rename(words[1], kDdimMiddle);
  words[0] = "mid_block";
}

void rename_attention(Words& words) {
  const auto block = std::find(words.begin(), words.end(), "attentions");
  if (std::distance(block, words.end()) > 2) rename(block[2], kAttention);
}

}  // namespace

std::string present_tensor_name(std::string_view name, int levels) {
  Words words = split(name);
  if ((words[0] == "down" || words[0] == "up") && words.size() >= 5)
    rename_ddim_level(words, levels);
  else if (words[0] == "mid" && words.size() >= 4)
    rename_ddim_middle(words);
  else if (words[0] == "temb" && words.size() == 4 && words[1] == "dense" &&
           (words[2] == "0" || words[2] == "1"))
    words = {"time_embedding", words[2] == "0" ? "linear_1" : "linear_2", words[3]};
  else if (words[0] == "norm_out")
    words[0] = "conv_norm_out";
  else
    rename_attention(words);
  return join(words);
}

}  // namespace ddpm
