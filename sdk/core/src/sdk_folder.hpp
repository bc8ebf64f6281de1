// Model folders of the original's deployment SDK, and ours: deploy.json, pipeline.json and the
// network.
#pragma once

#include <string>

#include "card.hpp"

namespace rtmpose::core {

// The texts of a folder's files, and its path.
struct SdkTexts {
  std::string folder;
  std::string deploy;
  std::string pipeline;
};

bool is_sdk_folder(const std::string& path);

// The network's file, which lies in the folder. Throws Error where it leads elsewhere.
std::string sdk_network(const std::string& folder);

// The card that pipeline.json makes. Throws Error where it says something unknown.
Card sdk_card(const std::string& folder);
Card sdk_card(const SdkTexts& texts);

}  // namespace rtmpose::core
