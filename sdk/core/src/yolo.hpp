// Outputs of the YOLO families: one row per cell of a grid, or per box.
#pragma once

#include "array.hpp"
#include "types.hpp"

namespace rtmpose::core {

enum class YoloForm {
  kNone,
  kBoxes,          // (1, n, 6): corners, score, class, suppression inside
  kCells,          // (1, A, 5 + C): center, size, objectness, classes
  kAnchors,        // the same with three candidates per cell
  kChannelsFirst,  // (1, 4 + C, A): center, size, classes
  kPeople,         // (1, 5 + 3 K, A): center, size, score, and x, y, score of each keypoint
};

// The form of a network's only output; -1 marks a dimension that may vary.
YoloForm yolo_form(const Shape& shape, Size input);

// False where the outputs have none of these forms.
bool read_yolo(const Arrays& outputs, Size input, float score_thr, Detections& found);

// People in input pixels from (1, 5 + 3 K, A). Throws Error where the shape is another.
Poses read_yolo_people(const Arrays& outputs, float score_thr, const std::string& name);

}  // namespace rtmpose::core
