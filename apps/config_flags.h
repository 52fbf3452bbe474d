// Options of a training configuration as flags: names, help and defaults come from train_options().
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "apps/command_line.h"
#include "model/training/train_config.h"

namespace ddpm {

// "learning_rate": "--learning-rate"
inline std::string flag_of(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return "--" + key;
}

class ConfigFlags {
 public:
  // Adds a flag for each option that the predicate selects. This object must outlive the parsing.
  void add_to(CLI::App& app, const std::function<bool(const ConfigOption&)>& selects) {
    const TrainConfig defaults = make_train_config({});
    for (const ConfigOption& option : train_options())
      if (selects(option))
        flags_[option.key] = app.add_option(flag_of(option.key), texts_[option.key], option.help)
                                 ->group(option.group)
                                 ->type_name(option.key == "data" ? "" : "[" + option.get(defaults) + "]");
  }

  // The flags that were given, after parsing.
  std::vector<Setting> given() const {
    std::vector<Setting> settings;
    for (const auto& [key, flag] : flags_)
      if (flag->count() > 0) settings.push_back({key, texts_.at(key)});
    return settings;
  }

 private:
  std::map<std::string, std::string> texts_;  // by key
  std::map<std::string, const CLI::Option*> flags_;
};

// For the programs that do not train.
inline bool is_gpu_option(const ConfigOption& option) { return option.group == "gpu"; }

}  // namespace ddpm
