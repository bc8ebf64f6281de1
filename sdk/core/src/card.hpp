// What must be known of a model to run it: how pixels go in, and how positions come out.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "skeleton.hpp"
#include "types.hpp"

namespace rtmpose::core {

enum class Coding {
  kSimcc,
  kHeatmap,   // UDP: crops and maps measured between pixel centers, refined by DARK
  kGaussian,  // plain crops, a quarter of a pixel toward the higher neighbor
  kRtmdet,
  kYolox,
  kYolo,
  kRtmo,
  kYoloPose,
};

struct Normalization {
  std::array<double, 3> mean{};
  std::array<double, 3> std{1, 1, 1};
  bool rgb = false;  // order of the network's channels
};

struct Card {
  std::string id;
  Coding coding = Coding::kSimcc;
  Normalization normalization;
  Size input;  // 0 where only the file knows
  double split_ratio = 2;
  double sigma = 2;          // of heat maps
  bool rectangular = false;  // frames are padded to multiples of 32 only, not to the whole input
  std::vector<std::string> classes;
  std::optional<Skeleton> skeleton;

  bool is_detector() const {
    return coding == Coding::kRtmdet || coding == Coding::kYolox || coding == Coding::kYolo;
  }
  bool is_one_stage() const { return coding == Coding::kRtmo || coding == Coding::kYoloPose; }
};

// The card that the Python package writes. Throws Error; `name` is the model's name in errors.
Card card_from_json(const std::string& text, const std::string& name);

// Throws Error where numbers make no sense.
void check_card(const Card& card, const std::string& name);

// ASCII letters as small ones.
std::string lowercase(std::string text);

}  // namespace rtmpose::core
