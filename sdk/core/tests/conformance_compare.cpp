#include "conformance_compare.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace conformance {
namespace {

// The value that a part of the values does not exceed; 0 where there are none.
double quantile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double place = part * static_cast<double>(values.size() - 1);
  return values[static_cast<std::size_t>(std::ceil(place))];
}

double largest(const std::vector<double>& values) { return quantile(values, 1); }

double side_difference(const rtmpose::Box& box, const Json& expected) {
  const float sides[4] = {box.x1, box.y1, box.x2, box.y2};
  double most = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    most = std::max(most, std::fabs(sides[i] - expected[i].get<double>()));
  }
  return most;
}

}  // namespace

void Differences::start_case(const std::string& name, double scale) {
  case_ = name;
  scale_ = scale;
  ++cases_;
}

void Differences::fault(const std::string& text) {
  same_people_ = false;
  std::printf("%s: %s\n", case_.c_str(), text.c_str());
}

void Differences::add_box(const rtmpose::Box& box, const Json& expected) {
  boxes_.push_back(side_difference(box, expected) / scale_);
}

void Differences::add_detections(const rtmpose::Detections& found, const Json& expected) {
  const Json& boxes = expected.at("boxes");
  if (found.size() != boxes.size()) {
    fault(std::to_string(found.size()) + " boxes instead of " + std::to_string(boxes.size()));
    return;
  }

  // By their boxes, nearest first: equal scores may come in either order.
  std::vector<bool> taken(found.size(), false);
  for (std::size_t row = 0; row < boxes.size(); ++row) {
    std::size_t best = found.size();
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (taken[i]) continue;
      if (best == found.size() || side_difference(found.boxes()[i], boxes[row]) <
                                      side_difference(found.boxes()[best], boxes[row])) {
        best = i;
      }
    }
    taken[best] = true;
    ++people_;
    add_box(found.boxes()[best], boxes[row]);
    box_scores_.push_back(
        std::fabs(found.scores()[best] - expected.at("scores")[row].get<double>()));
    if (found.labels()[best] != expected.at("labels")[row].get<int>()) fault("another label");
  }
}

void Differences::add_keypoints(const rtmpose::Person& person, std::size_t row,
                                const Json& expected, const Json& ties) {
  const Json& points = expected.at("keypoints")[row];
  for (std::size_t k = 0; k < person.keypoint_count(); ++k) {
    const rtmpose::Point point = person.keypoint(k);
    const double distance = std::hypot(point.x - points[k][0].get<double>(),
                                       point.y - points[k][1].get<double>()) /
                            scale_;
    keypoints_.push_back(distance);
    scores_.push_back(
        std::fabs(person.scores()[k] - expected.at("scores")[row][k].get<double>()));
    if (distance < 0.5) continue;
    ++jumps_;
    known_jumps_ += std::find(ties.begin(), ties.end(), Json::array({row, k})) != ties.end();
  }
}

void Differences::add_poses(const rtmpose::Poses& found, const Json& expected, const Json& ties) {
  const Json& boxes = expected.at("boxes");
  if (found.size() != boxes.size()) {
    fault(std::to_string(found.size()) + " people instead of " + std::to_string(boxes.size()));
    return;
  }
  for (std::size_t row = 0; row < found.size(); ++row) {
    const rtmpose::Person person = found[row];
    if (expected.contains("ids") && person.id() != expected.at("ids")[row].get<std::int64_t>()) {
      fault("id " + std::to_string(person.id()) + " instead of " +
            expected.at("ids")[row].dump());
      return;
    }
    ++people_;
    add_box(person.box(), boxes[row]);
    box_scores_.push_back(
        std::fabs(person.box_score() - expected.at("box_scores")[row].get<double>()));
    add_keypoints(person, row, expected, ties);
  }
}

bool Differences::report() const {
  const bool near = quantile(boxes_, 0.5) <= 0.01 && largest(boxes_) <= 1 &&
                    quantile(keypoints_, 0.5) <= 0.01 && quantile(keypoints_, 0.95) < 0.5 &&
                    largest(box_scores_) <= 1e-3 && quantile(scores_, 0.99) <= 1e-3;
  std::printf("%-7s %3d cases %4zu people  boxes: median %.5f, 95 %% %.5f, largest %.4f px"
              "  keypoints: median %.5f, 95 %% %.5f, largest %.3f px (%zu jump, %zu of them ties)"
              "  scores: boxes %.6f, keypoints 99 %% %.6f  %s\n",
              kind_.c_str(), cases_, people_, quantile(boxes_, 0.5), quantile(boxes_, 0.95),
              largest(boxes_), quantile(keypoints_, 0.5), quantile(keypoints_, 0.95),
              largest(keypoints_), jumps_, known_jumps_, largest(box_scores_),
              quantile(scores_, 0.99), near && same_people_ ? "ok" : "NOT MET");
  return near && same_people_;
}

}  // namespace conformance
