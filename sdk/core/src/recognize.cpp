#include "recognize.hpp"

#include <filesystem>

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

std::string found_text(const NetworkForm& network) {
  std::string text = "it takes " + shape_text(network.input) + " and returns ";
  for (std::size_t i = 0; i < network.output_names.size(); ++i) {
    text += (i ? ", " : "") + network.output_names[i] + " " + shape_text(network.output_shapes[i]);
  }
  return text;
}

// A pose network of which only the outputs are known.
Card completed_pose_card(Card card, const NetworkForm& network) {
  const std::vector<Shape>& shapes = network.output_shapes;
  Size size = network.declared_size();
  if (!size.width || !size.height) size = size_by_bins(shapes);
  if (!size.width || !size.height) {
    fail_model(network.path + " declares no input size: " + found_text(network) +
               ". Write a card next to it, " + network.path + ".card.json");
  }
  card.input = size;
  if (keypoint_form(network.output_names, shapes) != KeypointForm::kCoded) return card;
  if (shapes.size() == 1 && shapes[0].size() == 4) {
    card.coding = Coding::kHeatmap;
    return card;
  }
  if (shapes.size() == 2 && shapes[0].size() == 3 && shapes[1].size() == 3) {
    card.coding = Coding::kSimcc;
    card.split_ratio = split_ratio_of(shapes, size);
    if (card.split_ratio > 0) return card;
  }
  fail_model(network.path + " is not a pose model of a known form: " + found_text(network) +
             ". Read are SimCC vectors (N, K, bins of x) and (N, K, bins of y), one heat map"
             " (N, K, h, w), keypoints (N, K, 3), and keypoints (N, K, 2) with scores (N, K)");
}

}  // namespace

Card recognized_card(const NetworkForm& network,
                     const std::function<bool(const std::string&)>& contains) {
  const std::string id = fs::u8path(network.path).filename().u8string();
  const std::string name = lowercase(id);
  const std::vector<Shape>& shapes = network.output_shapes;
  if (is_rtmo(network.output_names, shapes)) {
    return card_of(id, Coding::kRtmo, kRawPixels, {});
  }
  const auto named = [&](const char* family) { return name.find(family) != std::string::npos; };
  if (named("rtmdet") || contains("rtm_cls")) {
    return card_of(id, Coding::kRtmdet, kRtmdetPixels, {kRtmdetSide, kRtmdetSide});
  }
  if (named("yolox") || contains("multi_level_conv")) {
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

Card completed_card(Card card, const NetworkForm& network) {
  const Size declared = network.declared_size();
  if (card.is_detector() || card.is_one_stage()) {
    // The size that the file itself declares goes before the card's.
    if (declared.width) card.input.width = declared.width;
    if (declared.height) card.input.height = declared.height;
    if (!card.input.width || !card.input.height) {
      fail_model(network.path + " does not say its input size; write a card next to it, " +
                 network.path + ".card.json");
    }
    return card;
  }
  if (is_rtmo(network.output_names, network.output_shapes)) {
    fail_model(network.path + " is a one-stage model, but its card is of another kind");
  }
  if (card.input == Size{0, 0}) return completed_pose_card(std::move(card), network);
  if (declared.width && declared.height && !(declared == card.input)) {
    fail_model(network.path + " takes " + std::to_string(declared.width) + "x" +
               std::to_string(declared.height) + " pixels, but its card says " +
               std::to_string(card.input.width) + "x" + std::to_string(card.input.height));
  }
  return card;
}

}  // namespace rtmpose::core
