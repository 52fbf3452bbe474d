// Expects that something is refused as the user's fault, in words that help. Tests only; depends
// on GoogleTest.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "support/error_types.h"

namespace ddpm {

// `run` must throw an InputError whose sentence matches.
template <typename Run>
void expect_input_error(const Run& run, const ::testing::Matcher<const std::string&>& sentence) {
  try {
    run();
    ADD_FAILURE() << "nothing was refused";
  } catch (const InputError& error) {
    EXPECT_THAT(std::string(error.what()), sentence);
  }
}

}  // namespace ddpm
