#include "one_stage_decoding.hpp"

#include <algorithm>
#include <cmath>

#include "boxes.hpp"

namespace rtmpose::core {
namespace {

// Overlap above which the published files suppress the weaker of two people.
constexpr float kInsideIouThr = 0.65f;

bool all_finite(const float* values, std::size_t count) {
  return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

}  // namespace

bool is_rtmo(const std::vector<std::string>& names, const std::vector<Shape>& shapes) {
  if (shapes.size() != 2 || shapes[0].size() != 3 || shapes[1].size() != 4) return false;
  const std::int64_t box = shapes[0][2];
  const std::int64_t point = shapes[1][3];

  // The published names are proof enough for dimensions that the file leaves open.
  if (names == std::vector<std::string>{"dets", "keypoints"}) {
    return (box == 5 || box == -1) && (point == 3 || point == -1);
  }
  return box == 5 && point == 3;
}

Poses read_rtmo(const Arrays& outputs, float score_thr, const std::string& name) {
  const bool right = outputs.size() == 2 && outputs[0].rank() == 3 && outputs[1].rank() == 4 &&
                     outputs[0].shape[2] == 5 && outputs[1].shape[3] == 3 &&
                     outputs[0].shape[1] == outputs[1].shape[1];
  if (!right) {
    fail_model(name + " is not a one-stage model of a known form: it returns arrays of shape " +
               shapes_text(outputs) + "; expected people (1, N, 5) and keypoints (1, N, K, 3)");
  }
  const std::size_t count = static_cast<std::size_t>(outputs[0].shape[1]);
  Poses people;
  people.keypoint_count = static_cast<std::size_t>(outputs[1].shape[2]);
  const std::size_t k = people.keypoint_count;
  std::vector<Point> points(k);
  std::vector<float> scores(k);
  for (std::size_t i = 0; i < count; ++i) {
    // Numbers that make no person: padding, NaN, boxes without area.
    const float* row = outputs[0].floats() + 5 * i;
    const float* triples = outputs[1].floats() + 3 * k * i;
    const Box box{row[0], row[1], row[2], row[3]};
    if (!(row[4] >= std::max(score_thr, kLowestPersonScore)) || !all_finite(row, 5) ||
        !all_finite(triples, 3 * k) || !has_extent(box)) {
      continue;
    }
    for (std::size_t j = 0; j < k; ++j) {
      points[j] = {triples[3 * j], triples[3 * j + 1]};
      scores[j] = triples[3 * j + 2];
    }
    people.add(box, row[4], points.data(), scores.data());
  }

  // The published suppression once more: it leaves its own result as it is, and removes repeats.
  return people.select(nms(people.boxes, people.box_scores, kInsideIouThr));
}

}  // namespace rtmpose::core
