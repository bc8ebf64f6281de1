// The values that pass between the stages: images, boxes, detections, poses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "rtmpose.h"

namespace rtmpose::core {

// What goes wrong, as text and status; caught at the C interface.
class Error : public std::runtime_error {
 public:
  Error(rtmpose_status kind, const std::string& text) : std::runtime_error(text), status(kind) {}

  const rtmpose_status status;
};

[[noreturn]] inline void fail_argument(const std::string& text) {
  throw Error(RTMPOSE_ERROR_ARGUMENT, text);
}

[[noreturn]] inline void fail_model(const std::string& text) {
  throw Error(RTMPOSE_ERROR_MODEL, text);
}

[[noreturn]] inline void fail_engine(const std::string& text) {
  throw Error(RTMPOSE_ERROR_ENGINE, text);
}

struct Size {
  int width = 0;
  int height = 0;

  bool operator==(const Size& other) const {
    return width == other.width && height == other.height;
  }
};

// Pixels of somebody else; rows may have gaps.
struct ImageView {
  const std::uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  std::ptrdiff_t stride = 0;
  int step = 3;                 // bytes from one pixel to the next
  int channels[3] = {0, 1, 2};  // where blue, green and red are within a pixel

  const std::uint8_t* row(int y) const { return data + y * stride; }
  Size size() const { return {width, height}; }
};

struct Point {
  float x = 0;
  float y = 0;
};

// Corners in pixels; the interface's own, so that results need no copies.
using Box = rtmpose_box;

// Boxes with scores and classes.
struct Detections {
  std::vector<Box> boxes;
  std::vector<float> scores;
  std::vector<std::int64_t> labels;

  std::size_t size() const { return boxes.size(); }

  void add(const Box& box, float score, std::int64_t label) {
    boxes.push_back(box);
    scores.push_back(score);
    labels.push_back(label);
  }
};

// People; each has the same number of keypoints, one person's after the other's.
struct Poses {
  std::size_t keypoint_count = 0;
  std::vector<Box> boxes;
  std::vector<float> box_scores;
  std::vector<Point> points;
  std::vector<float> scores;

  std::size_t size() const { return boxes.size(); }
  const Point* points_of(std::size_t row) const { return points.data() + row * keypoint_count; }
  const float* scores_of(std::size_t row) const { return scores.data() + row * keypoint_count; }

  void add(const Box& box, float box_score, const Point* person, const float* person_scores) {
    boxes.push_back(box);
    box_scores.push_back(box_score);
    points.insert(points.end(), person, person + keypoint_count);
    scores.insert(scores.end(), person_scores, person_scores + keypoint_count);
  }

  // Some of the people, in the order of the rows.
  Poses select(const std::vector<std::size_t>& rows) const {
    Poses chosen;
    chosen.keypoint_count = keypoint_count;
    for (const std::size_t row : rows) {
      chosen.add(boxes[row], box_scores[row], points_of(row), scores_of(row));
    }
    return chosen;
  }
};

using Rows = std::vector<std::size_t>;

}  // namespace rtmpose::core
