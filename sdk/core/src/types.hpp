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
  Error(rtmpose_status status, const std::string& text) : std::runtime_error(text), status(status) {}

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

// BGR pixels of somebody else; rows may have gaps.
struct ImageView {
  const std::uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  std::ptrdiff_t stride = 0;

  const std::uint8_t* row(int y) const { return data + y * stride; }
};

struct Point {
  float x = 0;
  float y = 0;
};

// Corners in pixels.
struct Box {
  float x1 = 0;
  float y1 = 0;
  float x2 = 0;
  float y2 = 0;
};

struct Detection {
  Box box;
  float score = 0;
  std::int64_t label = 0;
};

// One person; points and scores have one entry per keypoint.
struct Pose {
  Box box;
  float box_score = 0;
  std::vector<Point> points;
  std::vector<float> scores;
};

struct Person {
  std::int64_t id = 0;
  Pose pose;
};

}  // namespace rtmpose::core
