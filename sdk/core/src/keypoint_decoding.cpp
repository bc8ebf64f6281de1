#include "keypoint_decoding.hpp"

#include <algorithm>
#include <cmath>

#include "heatmap.hpp"

namespace rtmpose::core {
namespace {

// The highest of `count` values; the first of equal ones.
std::size_t peak_of(const float* values, std::size_t count) {
  // The maximum first, then its place: both loops vectorize, unlike one that does both.
  float highest = values[0];
  for (std::size_t i = 1; i < count; ++i) highest = values[i] > highest ? values[i] : highest;
  for (std::size_t i = 0; i < count; ++i) {
    if (values[i] == highest) return i;
  }
  return 0;
}

// Two classifications per keypoint, over the columns and over the rows.
void decode_simcc(const Arrays& outputs, double split_ratio, std::size_t n,
                  std::vector<Point>& points, std::vector<float>& scores) {
  const std::size_t count = n * static_cast<std::size_t>(outputs[0].shape[1]);
  const std::size_t columns = static_cast<std::size_t>(outputs[0].shape[2]);
  const std::size_t rows = static_cast<std::size_t>(outputs[1].shape[2]);
  const float* x = outputs[0].floats();
  const float* y = outputs[1].floats();
  const float bins = static_cast<float>(split_ratio);
  for (std::size_t i = 0; i < count; ++i, x += columns, y += rows) {
    const std::size_t column = peak_of(x, columns);
    const std::size_t row = peak_of(y, rows);
    const float score = std::min(x[column], y[row]);

    // Without a positive score there is no keypoint: its place is one bin before the first.
    const bool seen = !(score <= 0);
    points.push_back({(seen ? static_cast<float>(column) : -1.0f) / bins,
                      (seen ? static_cast<float>(row) : -1.0f) / bins});
    scores.push_back(score);
  }
}

void decode_decoded(const Arrays& outputs, bool triples, std::size_t n, std::vector<Point>& points,
                    std::vector<float>& scores) {
  const std::size_t count = n * static_cast<std::size_t>(outputs[0].shape[1]);
  const std::size_t step = triples ? 3 : 2;
  const float* values = outputs[0].floats();
  const float* confidences = triples ? values + 2 : outputs[1].floats();
  const std::size_t confidence_step = triples ? 3 : 1;
  for (std::size_t i = 0; i < count; ++i) {
    points.push_back({values[i * step], values[i * step + 1]});
    scores.push_back(confidences[i * confidence_step]);
  }
}

// What the shapes should be, in words; empty where they are.
std::string expected_outputs(const Arrays& outputs, const Card& card, KeypointForm form,
                             std::int64_t n) {
  const auto fits = [&](std::size_t index, std::size_t rank) {
    if (outputs.size() <= index || outputs[index].rank() != rank) return false;
    const Shape& shape = outputs[index].shape;
    return shape[0] >= n && shape[1] > 0 && shape[1] == outputs[0].shape[1];
  };
  if (form == KeypointForm::kDecoded) {
    const bool right = fits(0, 3) && fits(1, 2) && outputs[0].shape[2] == 2;
    return right ? "" : "keypoints (N, K, 2) and scores (N, K)";
  }
  if (form == KeypointForm::kDecodedTriples) {
    return fits(0, 3) && outputs[0].shape[2] == 3 ? "" : "one array of keypoints (N, K, 3)";
  }
  if (card.coding == Coding::kSimcc) {
    const std::int64_t x = std::lrint(card.input.width * card.split_ratio);
    const std::int64_t y = std::lrint(card.input.height * card.split_ratio);
    const bool right = outputs.size() == 2 && fits(0, 3) && fits(1, 3) && x > 0 && y > 0 &&
                       outputs[0].shape[2] == x && outputs[1].shape[2] == y;
    return right ? "" : "SimCC vectors (N, K, " + std::to_string(x) + ") and (N, K, " +
                            std::to_string(y) + ")";
  }
  const bool right = outputs.size() == 1 && fits(0, 4) && outputs[0].shape[2] > 1 &&
                     outputs[0].shape[3] > 1;
  return right ? "" : "one heat map (N, K, h, w)";
}

}  // namespace

KeypointForm keypoint_form(const std::vector<std::string>& names,
                           const std::vector<Shape>& shapes) {
  if (names == std::vector<std::string>{"keypoints", "scores"}) return KeypointForm::kDecoded;
  if (shapes.size() == 2 && shapes[0].size() == 3 && shapes[1].size() == 2 && shapes[0][2] == 2) {
    return KeypointForm::kDecoded;
  }
  if (shapes.size() == 1 && shapes[0].size() == 3 && shapes[0][2] == 3) {
    return KeypointForm::kDecodedTriples;
  }
  return KeypointForm::kCoded;
}

bool is_udp(const Card& card) { return card.coding == Coding::kHeatmap; }

std::size_t check_keypoint_outputs(const Arrays& outputs, const Card& card, KeypointForm form,
                                   std::int64_t n, const std::string& name) {
  const std::string expected = expected_outputs(outputs, card, form, n);
  if (!expected.empty()) {
    fail_model(name + " is not a pose model of this kind: it returns arrays of shape " +
               shapes_text(outputs) + ", where " + expected +
               (expected.rfind("one", 0) == 0 ? " was" : " were") + " expected");
  }
  return static_cast<std::size_t>(outputs[0].shape[1]);
}

void decode_keypoints(const Arrays& outputs, const Card& card, KeypointForm form, std::size_t n,
                      std::vector<Point>& points, std::vector<float>& scores) {
  if (form != KeypointForm::kCoded) {
    decode_decoded(outputs, form == KeypointForm::kDecodedTriples, n, points, scores);
  } else if (card.coding == Coding::kSimcc) {
    decode_simcc(outputs, card.split_ratio, n, points, scores);
  } else {
    decode_heatmaps(outputs[0], card, n, points, scores);
  }
}

}  // namespace rtmpose::core
