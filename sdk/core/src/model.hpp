// An opened model: its network, and everything that must be known to run it.
#pragma once

#include <memory>

#include "model_description.hpp"
#include "network.hpp"

namespace rtmpose::core {

struct Model : ModelDescription {
  std::unique_ptr<Network> network;
};

// Opens an .onnx file or a folder of the deployment SDK, and runs one black image, which shows what
// the network really returns. Throws Error.
std::shared_ptr<const Model> open_model(const std::string& path, const EngineOptions& options);

// The same from the bytes of an .onnx file, which are needed during this call only. name: for
// errors, and as the file name of models without a card.
std::shared_ptr<const Model> open_model(const std::string& name, const ModelBytes& bytes,
                                        const EngineOptions& options);

// Outputs for one input of a network whose file may fix a larger batch; then it is repeated.
// pixels: (3, height, width) and room for the repetitions.
Outputs run_single(const Model& model, std::vector<float>& pixels, Size size);

}  // namespace rtmpose::core
