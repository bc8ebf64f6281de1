#include "model.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string_view>

#include "pose_stages.hpp"
#include "recognize.hpp"
#include "sdk_folder.hpp"

namespace rtmpose::core {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCardKey = "rtmpose.card";

// Whether a text stands anywhere in a file: exports keep the names of layers.
bool file_contains(const std::string& path, const std::string& text) {
  std::ifstream file(fs::u8path(path), std::ios::binary);
  std::string window;
  std::vector<char> block(1 << 20);
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())), file.gcount() > 0) {
    window.append(block.data(), static_cast<std::size_t>(file.gcount()));
    if (window.find(text) != std::string::npos) return true;

    // The end may be the beginning of the text.
    window.erase(0, window.size() - std::min(window.size(), text.size() - 1));
  }
  return false;
}

// The card in the file's metadata, or one that its form leads to. contains: whether a text stands
// anywhere in it.
Card card_inside(const Network& network, const std::function<bool(const std::string&)>& contains) {
  const std::string text = network.metadata(kCardKey);
  if (!text.empty()) return card_from_json(text, network.path());
  return recognized_card(network.form(), contains);
}

Card card_for(const Network& network, const std::string& path) {
  if (is_sdk_folder(path)) return sdk_card(path);

  // A card next to the file counts more than the one inside.
  const std::string beside = path + ".card.json";
  std::error_code ignored;
  if (fs::is_regular_file(fs::u8path(beside), ignored)) {
    return card_from_json(read_text(beside), beside);
  }
  return card_inside(network, [&network](const std::string& text) {
    return file_contains(network.path(), text);
  });
}

std::string network_file(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(fs::u8path(path), ignored)) return path;
  if (is_sdk_folder(path)) return sdk_network(path);
  fail_model(path + " is a folder without deploy.json and pipeline.json; name an .onnx file or a"
                    " folder of the deployment SDK");
}

// A model of an opened network, whose outputs for one black image decide on the rest.
std::shared_ptr<const Model> finished_model(std::unique_ptr<Network> network, Card card) {
  const auto model = std::make_shared<Model>();
  model->network = std::move(network);
  model->device = model->network->device();
  model->device_note = model->network->device_note();
  describe(*model, model->network->form(), std::move(card));
  const Size input = model->card.input;
  std::vector<float> black(pixels_of(input));
  check_outputs(*model, run_single(*model, black, input).arrays());
  return model;
}

}  // namespace

std::shared_ptr<const Model> open_model(const std::string& path, const EngineOptions& options) {
  auto network = std::make_unique<Network>(network_file(path), options);
  Card card = card_for(*network, path);
  return finished_model(std::move(network), std::move(card));
}

std::shared_ptr<const Model> open_model(const std::string& name, const ModelBytes& bytes,
                                        const EngineOptions& options) {
  auto network = std::make_unique<Network>(name, bytes, options);
  const std::string_view content(static_cast<const char*>(bytes.data), bytes.size);
  Card card = card_inside(*network, [content](const std::string& text) {
    return content.find(text) != std::string_view::npos;
  });
  return finished_model(std::move(network), std::move(card));
}

Outputs run_single(const Model& model, std::vector<float>& pixels, Size size) {
  const int batch = std::max(1, model.form.fixed_batch());
  const std::size_t one = 3 * static_cast<std::size_t>(size.width) *
                          static_cast<std::size_t>(size.height);
  if (pixels.size() < one * static_cast<std::size_t>(batch)) {
    pixels.resize(one * static_cast<std::size_t>(batch));
  }
  for (int i = 1; i < batch; ++i) {
    std::copy_n(pixels.data(), one, pixels.data() + one * static_cast<std::size_t>(i));
  }
  Outputs outputs = model.network->run(pixels.data(), batch, size);
  check_first_rows(model, outputs.arrays());
  return outputs;
}

}  // namespace rtmpose::core
