// The networks that PyTorch is measured with are the presets.
#include <gtest/gtest.h>

#include "model/unet/presets.h"
#include "model/weights/diffusers_config.h"
#include "support/atomic_file.h"

namespace ddpm {
namespace {

TEST(PeerNetworks, MatchThePresets) {
  for (const char* name : {"ddpm-cifar10-32", "ddim-celeba-64", "ddpm-celebahq-256", "tiny-32"}) {
    const Preset preset = find_preset(name);
    EXPECT_EQ(read_file(std::string(DDPM_PEER_NETWORKS) + "/" + name + ".json"),
              unet_config_json({.network = preset.network, .dropout = preset.recipe.dropout}))
        << name;
  }
}

}  // namespace
}  // namespace ddpm
