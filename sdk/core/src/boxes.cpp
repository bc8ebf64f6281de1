#include "boxes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace rtmpose::core {

float box_area(const Box& box) {
  return std::max(box.x2 - box.x1, 0.0f) * std::max(box.y2 - box.y1, 0.0f);
}

float box_size(const Box& box) { return std::sqrt(box_area(box)); }

float intersection_area(const Box& a, const Box& b) {
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  return std::max(width, 0.0f) * std::max(height, 0.0f);
}

float box_iou(const Box& a, const Box& b) {
  const float shared = intersection_area(a, b);

  // Most pairs of boxes: no division.
  if (shared == 0) return 0;

  // Boxes without area give 0, not a division by zero.
  const float joined = box_area(a) + box_area(b) - shared;
  return shared / std::max(joined, std::numeric_limits<float>::min());
}

bool is_near(const Box& box) {
  constexpr float kFarthest = 1e7f;
  const auto near = [](float value) { return value > -kFarthest && value < kFarthest; };
  return near(box.x1) && near(box.y1) && near(box.x2) && near(box.y2);
}

bool has_extent(const Box& box) { return box.x2 > box.x1 && box.y2 > box.y1; }

Rows rows_by_score(const std::vector<float>& scores) {
  Rows order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  return order;
}

Rows nms(const std::vector<Box>& boxes, const std::vector<float>& scores, float iou_thr,
         std::size_t limit) {
  Rows kept;
  for (const std::size_t row : rows_by_score(scores)) {
    if (kept.size() >= limit) break;
    const bool apart = std::all_of(kept.begin(), kept.end(), [&](std::size_t other) {
      return box_iou(boxes[row], boxes[other]) <= iou_thr;
    });
    if (apart) kept.push_back(row);
  }
  return kept;
}

float oks(const PoseRef& a, const PoseRef& b, const std::vector<double>& sigmas,
          double min_score) {
  // COCO's constants are twice the sigmas; the tiny number keeps poses without area finite.
  const double area = static_cast<double>((a.area + b.area) / 2) +
                      std::numeric_limits<double>::epsilon();
  double total = 0;
  std::size_t counted = 0;
  for (std::size_t k = 0; k < sigmas.size(); ++k) {
    if (min_score >= 0 && !(a.scores[k] > min_score && b.scores[k] > min_score)) continue;
    const float x = (a.points[k].x + a.moved.x) - (b.points[k].x + b.moved.x);
    const float y = (a.points[k].y + a.moved.y) - (b.points[k].y + b.moved.y);
    const double variance = (sigmas[k] * 2) * (sigmas[k] * 2);
    total += std::exp(static_cast<double>(x * x + y * y) / (-2 * variance * area));
    ++counted;
  }

  // Poses without a common keypoint are not alike.
  return counted ? static_cast<float>(total / static_cast<double>(counted)) : 0.0f;
}

Rows oks_nms(const std::vector<PoseRef>& poses, const std::vector<float>& scores,
             const std::vector<double>& sigmas, float threshold) {
  Rows kept;
  for (const std::size_t row : rows_by_score(scores)) {
    const bool apart = std::all_of(kept.begin(), kept.end(), [&](std::size_t other) {
      return oks(poses[other], poses[row], sigmas) <= threshold;
    });
    if (apart) kept.push_back(row);
  }
  return kept;
}

}  // namespace rtmpose::core
