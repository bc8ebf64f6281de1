// An opened model: its network, and everything that must be known to run it.
#pragma once

#include <memory>

#include "card.hpp"
#include "keypoint_decoding.hpp"
#include "network.hpp"

namespace rtmpose::core {

struct Model {
  std::unique_ptr<Network> network;
  Card card;
  rtmpose_model_kind kind = RTMPOSE_KIND_POSE;
  Skeleton skeleton;                                // of detectors: empty
  KeypointForm keypoint_form = KeypointForm::kCoded;
  bool rectangular = false;                         // frames are padded as little as possible

  // For the C interface: names as pointers that live as long as this.
  std::vector<const char*> keypoint_names;
  std::vector<std::int32_t> link_pairs;
  std::vector<const char*> class_names;

  const std::string& path() const { return network->path(); }
};

// Opens an .onnx file or a folder of the deployment SDK, and runs one black image, which shows what
// the network really returns. Throws Error.
std::shared_ptr<const Model> open_model(const std::string& path, const EngineOptions& options);

// Outputs for one input of a network whose file may fix a larger batch; then it is repeated.
// pixels: (3, height, width) and room for the repetitions.
Outputs run_single(const Network& network, std::vector<float>& pixels, Size size);

}  // namespace rtmpose::core
