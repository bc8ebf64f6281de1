#include "card.hpp"

#include <cmath>
#include <map>

namespace rtmpose::core {
namespace {

constexpr int kLargestSide = 16384;

// A field under its name, or under the one it had in the first cards.
const Json& field(const Json& table, const char* name, const char* old_name) {
  return table.contains(name) ? table.at(name) : table.at(old_name);
}

Coding coding_of(const std::string& kind, const std::string& name) {
  static const std::map<std::string, Coding> kinds = {
      {"simcc", Coding::kSimcc},       {"heatmap", Coding::kHeatmap},
      {"gaussian", Coding::kGaussian}, {"rtmdet", Coding::kRtmdet},
      {"yolox", Coding::kYolox},       {"yolo", Coding::kYolo},
      {"rtmo", Coding::kRtmo},         {"yolo-pose", Coding::kYoloPose},
  };
  const auto found = kinds.find(kind);
  if (found == kinds.end()) {
    fail_model(name + " is of the kind " + kind +
               "; read are simcc, heatmap, gaussian, rtmdet, yolox, yolo, rtmo and yolo-pose");
  }
  return found->second;
}

Normalization normalization_of(const Json& table) {
  Normalization scaling;
  scaling.mean = table.at("mean").get<std::array<double, 3>>();
  scaling.std = table.at("std").get<std::array<double, 3>>();
  scaling.rgb = field(table, "color", "colour").get<std::string>() == "rgb";
  return scaling;
}

}  // namespace

Card card_from_json(const std::string& text, const std::string& name) {
  const Json table = parse_json(text, "the card of " + name);
  try {
    Card card;
    const Json& codec = table.at("codec");
    card.id = table.at("id").get<std::string>();
    card.coding = coding_of(codec.at("kind").get<std::string>(), name);
    card.normalization = normalization_of(field(table, "normalization", "normalisation"));
    card.input = {table.at("input_wh").at(0).get<int>(), table.at("input_wh").at(1).get<int>()};
    card.split_ratio = codec.value("split_ratio", 2.0);
    const Json sigma = codec.value("sigma", Json::array());
    if (!sigma.empty()) card.sigma = sigma.at(0).get<double>();
    card.rectangular = table.value("input_fit", std::string()) == "rectangular";
    card.classes = table.value("classes", std::vector<std::string>());

    // A set inside the card counts more than its name.
    if (table.contains("own_skeleton") && table.at("own_skeleton").is_object()) {
      card.skeleton = skeleton_from_json(table.at("own_skeleton"));
    } else if (table.contains("skeleton") && table.at("skeleton").is_string()) {
      card.skeleton = skeleton_by_name(table.at("skeleton").get<std::string>());
    }
    check_card(card, name);
    return card;
  } catch (const Json::exception& error) {
    fail_model("the card of " + name + " is not valid: " + error.what());
  }
}

std::string lowercase(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

void check_card(const Card& card, const std::string& name) {
  const bool open = card.input == Size{0, 0};
  if (!open && (card.input.width < 1 || card.input.height < 1 ||
                card.input.width > kLargestSide || card.input.height > kLargestSide)) {
    fail_model("the card of " + name + " gives an input of " + std::to_string(card.input.width) +
               "x" + std::to_string(card.input.height) + " pixels");
  }
  for (const double value : card.normalization.mean) {
    if (!std::isfinite(value)) fail_model("the card of " + name + " has a mean that is no number");
  }
  for (const double value : card.normalization.std) {
    if (!std::isfinite(value) || value <= 0) {
      fail_model("the card of " + name + " has a std that is not positive");
    }
  }
  if (!(card.split_ratio > 0) || !(card.split_ratio <= 1000) || !(card.sigma >= 0)) {
    fail_model("the card of " + name + " has a split_ratio or sigma out of range");
  }
}

}  // namespace rtmpose::core
