// The record beside a folder or a file of images, DIR.json or FILE.json: what they are and how they were
// made, so that nobody evaluates against the wrong crop, and no folder mixes images of two kinds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace ddpm {

// "pictures/a" and "pictures/a/" -> "pictures/a.json"; "a.npz" -> "a.npz.json".
std::filesystem::path record_path(const std::filesystem::path& images);

// "000042.png", as every program here names image 42 of a folder.
std::string image_file_name(int64_t i);

// How many PNGs the folder holds.
int64_t count_images(const std::filesystem::path& folder);

// Creates the folder and writes its record, or accepts the same record of a run that was stopped. InputError
// if the folder holds images with another record or none.
void claim_image_folder(const std::filesystem::path& folder, const std::string& record);

}  // namespace ddpm
