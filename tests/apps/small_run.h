// The smallest run that has every part: 8x8 synthetic faces and a two-level network. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/apps/program.h"
#include "tests/temporary_folder.h"

namespace ddpm {

class SmallRun : public ::testing::Test {
 protected:
  void SetUp() override {
    const ProgramResult made =
        run_program("ddpm_data", {"synthetic-faces", "--count", "40", "--size", "8", "--out", data()});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }

  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string data() const { return path("faces.npy"); }

  // Arguments of ddpm_train for the run `name`, with `more` behind them.
  std::vector<std::string> training(const std::string& name,
                                    const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"--data",
                                          data(),
                                          "--out",
                                          path(name),
                                          "--device",
                                          "cpu",
                                          "--image-size",
                                          "8",
                                          "--block-out-channels",
                                          "8,16",
                                          "--attention",
                                          "false,true",
                                          "--layers-per-block",
                                          "1",
                                          "--norm-num-groups",
                                          "4",
                                          "--batch",
                                          "4",
                                          "--seed",
                                          "7",
                                          "--dropout",
                                          "0.1",
                                          "--log-every",
                                          "5",
                                          "--sample-every",
                                          "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  TemporaryFolder folder_;
};

}  // namespace ddpm
