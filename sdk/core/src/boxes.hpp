// Boxes and keypoints: overlap, likeness, suppression of duplicates.
#pragma once

#include "types.hpp"

namespace rtmpose::core {

float box_area(const Box& box);

// Root of the area, in pixels.
float box_size(const Box& box);

float intersection_area(const Box& a, const Box& b);

// Intersection over union.
float box_iou(const Box& a, const Box& b);

// Whether all corners are numbers, near enough for 32-bit floats to tell pixels apart.
bool is_near(const Box& box);

// Whether the corners are the right way round, with pixels between them.
bool has_extent(const Box& box);

// Rows, the highest score first; rows of equal scores keep their order.
Rows rows_by_score(const std::vector<float>& scores);

// Greedy suppression: kept rows, the highest score first; limit: at most this many are kept.
Rows nms(const std::vector<Box>& boxes, const std::vector<float>& scores, float iou_thr,
         std::size_t limit = static_cast<std::size_t>(-1));

// One pose for object keypoint similarity.
struct PoseRef {
  const Point* points = nullptr;
  const float* scores = nullptr;
  float area = 0;     // square pixels
  Point moved{0, 0};  // added to all points
};

// Object keypoint similarity (COCO); min_score: only points above it in both count, where it is not
// negative.
float oks(const PoseRef& a, const PoseRef& b, const std::vector<double>& sigmas,
          double min_score = -1);

// Greedy suppression of poses by their similarity; kept rows, the highest score first.
Rows oks_nms(const std::vector<PoseRef>& poses, const std::vector<float>& scores,
             const std::vector<double>& sigmas, float threshold);

}  // namespace rtmpose::core
