// Tensor names that older files use instead of diffusers' present ones.
#pragma once

#include <string>
#include <string_view>

namespace ddpm {

// The present name of a tensor from diffusers before 0.16 (attention as query, key, value, proj_attn) or from
// DDIM's own PyTorch code (temb.dense.0, down.0.block.1, up.0, mid.attn_1, norm_out), which counts the levels
// of the way up from the finest of `levels`. Other names are returned unchanged.
std::string present_tensor_name(std::string_view name, int levels);

}  // namespace ddpm
