// CLI11 as the programs of this project use it. Include in one translation unit of a program: it
// compiles slowly.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

namespace ddpm {

// Parses the command line. Returns an exit code if the program must end at once: 0 after --help, 2 after a
// mistake, which is reported in one line.
inline std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv) {
  app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
    return failed->get_name() + ": " + error.what() + " (" + failed->get_name() +
           " --help lists the options)\n";
  });
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
}

}  // namespace ddpm
