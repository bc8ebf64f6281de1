#include "recognize.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "keypoint_decoding.hpp"
#include "one_stage_decoding.hpp"
#include "yolo.hpp"

namespace rtmpose::core {
namespace {

namespace fs = std::filesystem;

const Normalization kRtmposePixels{{123.675, 116.28, 103.53}, {58.395, 57.12, 57.375}, true};
const Normalization kRtmdetPixels{{103.53, 116.28, 123.675}, {57.375, 57.12, 58.395}, false};
const Normalization kRawPixels{};
const Normalization kUnitPixels{{0, 0, 0}, {255, 255, 255}, true};

constexpr int kRtmdetSide = 320;
constexpr int kYoloxSide = 416;
constexpr int kYoloSide = 640;

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

Card card_of(const std::string& id, Coding coding, const Normalization& pixels, Size input) {
  Card card;
  card.id = id;
  card.coding = coding;
  card.normalization = pixels;
  card.input = input;
  return card;
}

// SimCC networks usually have two bins per pixel.
Size size_by_bins(const std::vector<Shape>& shapes) {
  if (shapes.size() != 2 || shapes[0].size() != 3 || shapes[1].size() != 3) return {};
  if (shapes[0][2] < 2 || shapes[1][2] < 2) return {};
  return {static_cast<int>(shapes[0][2] / 2), static_cast<int>(shapes[1][2] / 2)};
}

// Bins per pixel that both axes agree on; 0 where they do not.
double split_ratio_of(const std::vector<Shape>& shapes, Size size) {
  const double x = static_cast<double>(shapes[0][2]) / size.width;
  const double y = static_cast<double>(shapes[1][2]) / size.height;
  if (shapes[0][2] < 0 && shapes[1][2] < 0) return 2;
  if (shapes[0][2] < 0) return y;
  if (shapes[1][2] < 0) return x;
  return x == y && x >= 0.5 && x <= 16 ? x : 0;
}

std::string found_text(const Network& network) {
  std::string text = "it takes " + shape_text(network.input().shape) + " and returns ";
  bool first = true;
  for (const TensorSpec& output : network.outputs()) {
    text += (first ? "" : ", ") + output.name + " " + shape_text(output.shape);
    first = false;
  }
  return text;
}

// A pose network of which only the outputs are known.
Card completed_pose_card(Card card, const Network& network) {
  const std::vector<Shape> shapes = output_shapes(network);
  Size size = network.declared_size();
  if (!size.width || !size.height) size = size_by_bins(shapes);
  if (!size.width || !size.height) {
    fail_model(network.path() + " declares no input size: " + found_text(network) +
               ". Write a card next to it, " + network.path() + ".card.json");
  }
  card.input = size;
  if (keypoint_form(output_names(network), shapes) != KeypointForm::kCoded) return card;
  if (shapes.size() == 1 && shapes[0].size() == 4) {
    card.coding = Coding::kHeatmap;
    return card;
  }
  if (shapes.size() == 2 && shapes[0].size() == 3 && shapes[1].size() == 3) {
    card.coding = Coding::kSimcc;
    card.split_ratio = split_ratio_of(shapes, size);
    if (card.split_ratio > 0) return card;
  }
  fail_model(network.path() + " is not a pose model of a known form: " + found_text(network) +
             ". Read are SimCC vectors (N, K, bins of x) and (N, K, bins of y), one heat map"
             " (N, K, h, w), keypoints (N, K, 3), and keypoints (N, K, 2) with scores (N, K)");
}

}  // namespace

std::vector<std::string> output_names(const Network& network) {
  std::vector<std::string> names;
  for (const TensorSpec& output : network.outputs()) names.push_back(output.name);
  return names;
}

std::vector<Shape> output_shapes(const Network& network) {
  std::vector<Shape> shapes;
  for (const TensorSpec& output : network.outputs()) shapes.push_back(output.shape);
  return shapes;
}

Card recognized_card(const Network& network) {
  const std::string id = fs::u8path(network.path()).filename().u8string();
  const std::string name = lowercase(id);
  const std::vector<Shape> shapes = output_shapes(network);
  if (is_rtmo(output_names(network), shapes)) {
    return card_of(id, Coding::kRtmo, kRawPixels, {});
  }
  const auto named = [&](const char* family) { return name.find(family) != std::string::npos; };
  if (named("rtmdet") || file_contains(network.path(), "rtm_cls")) {
    return card_of(id, Coding::kRtmdet, kRtmdetPixels, {kRtmdetSide, kRtmdetSide});
  }
  if (named("yolox") || file_contains(network.path(), "multi_level_conv")) {
    return card_of(id, Coding::kYolox, kRawPixels, {kYoloxSide, kYoloxSide});
  }

  // Shapes that only one family has.
  Size size = network.declared_size();
  if (!size.width) size.width = kYoloSide;
  if (!size.height) size.height = kYoloSide;
  const YoloForm form = shapes.size() == 1 ? yolo_form(shapes[0], size) : YoloForm::kNone;
  if (form == YoloForm::kPeople) return card_of(id, Coding::kYoloPose, kUnitPixels, size);
  if (form == YoloForm::kCells && !named("yolo")) {
    return card_of(id, Coding::kYolox, kRawPixels, size);
  }
  if (form != YoloForm::kNone || named("yolo")) {
    return card_of(id, Coding::kYolo, kUnitPixels, size);
  }
  return card_of(id, Coding::kSimcc, kRtmposePixels, {});
}

Card completed_card(Card card, const Network& network) {
  const Size declared = network.declared_size();
  if (card.is_detector() || card.is_one_stage()) {
    // The size that the file itself declares goes before the card's.
    if (declared.width) card.input.width = declared.width;
    if (declared.height) card.input.height = declared.height;
    if (!card.input.width || !card.input.height) {
      fail_model(network.path() + " does not say its input size; write a card next to it, " +
                 network.path() + ".card.json");
    }
    return card;
  }
  if (is_rtmo(output_names(network), output_shapes(network))) {
    fail_model(network.path() + " is a one-stage model, but its card is of another kind");
  }
  if (card.input == Size{0, 0}) return completed_pose_card(std::move(card), network);
  if (declared.width && declared.height && !(declared == card.input)) {
    fail_model(network.path() + " takes " + std::to_string(declared.width) + "x" +
               std::to_string(declared.height) + " pixels, but its card says " +
               std::to_string(card.input.width) + "x" + std::to_string(card.input.height));
  }
  return card;
}

}  // namespace rtmpose::core
