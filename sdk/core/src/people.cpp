#include "people.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <string>

#include "boxes.hpp"

namespace rtmpose::core {
namespace {

// Lowest person score, measured on whole people.
constexpr float kPersonThr = 0.12f;

// Keypoints that the sets of whole people have in common; animals have paws.
constexpr const char* kWholePerson[] = {"shoulder", "hip", "wrist", "ankle"};

// Keypoints scoring at or below it do not count toward a person's score.
constexpr float kScoreFloor = 0.2f;

// The tracker's settings of the same meaning.
constexpr float kSeenScore = 0.5f;
constexpr float kExtentScale = 1.25f;
constexpr float kSamePersonOks = 0.5f;

// The upper half of somebody and the whole of them agree in the points that both show.
constexpr double kShownScore = 0.3;
constexpr int kFewestCommon = 5;

struct PoseBox {
  Box box{};
  int seen = 0;
};

PoseBox pose_box(const Poses& poses, std::size_t row, float kpt_thr, float scale) {
  const Point* points = poses.points_of(row);
  const float* scores = poses.scores_of(row);
  constexpr float kFar = std::numeric_limits<float>::infinity();
  Box extent{kFar, kFar, -kFar, -kFar};
  PoseBox result;
  for (std::size_t k = 0; k < poses.keypoint_count; ++k) {
    if (!(scores[k] > kpt_thr)) continue;
    ++result.seen;
    extent = {std::min(extent.x1, points[k].x), std::min(extent.y1, points[k].y),
              std::max(extent.x2, points[k].x), std::max(extent.y2, points[k].y)};
  }

  // One point, or all in one place, is no person's extent: keep the box of the pose.
  const Box& box = poses.boxes[row];
  const float size = std::max(box.x2 - box.x1, box.y2 - box.y1);
  const float spread = std::max(extent.x2 - extent.x1, extent.y2 - extent.y1);
  if (result.seen < 2 || !(spread > 0.1f * size)) extent = box;

  // Grow about the center, at least one pixel to each side.
  const float x = (extent.x1 + extent.x2) / 2;
  const float y = (extent.y1 + extent.y2) / 2;
  const float half_width = std::max((extent.x2 - extent.x1) / 2 * scale, 1.0f);
  const float half_height = std::max((extent.y2 - extent.y1) / 2 * scale, 1.0f);
  result.box = {x - half_width, y - half_height, x + half_width, y + half_height};
  return result;
}

bool same_person(const PoseRef& a, const PoseRef& b, const Skeleton& skeleton, float nms_thr) {
  int common = 0;
  for (std::size_t k = 0; k < skeleton.size(); ++k) {
    common += a.scores[k] > static_cast<float>(kShownScore) &&
              b.scores[k] > static_cast<float>(kShownScore);
  }

  // Fewer common points agree by accident in a crowd.
  return common >= kFewestCommon &&
         oks(a, b, skeleton.sigmas, static_cast<float>(kShownScore)) > std::max(nms_thr, 0.6f);
}

bool has_keypoint(const Skeleton& skeleton, const std::string& name) {
  const std::vector<std::string>& names = skeleton.keypoints;
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

float person_thr_for(const Skeleton& skeleton, float given) {
  if (given >= 0) return given;
  const bool whole = std::all_of(
      std::begin(kWholePerson), std::end(kWholePerson), [&](const std::string& part) {
        return has_keypoint(skeleton, "left_" + part) && has_keypoint(skeleton, "right_" + part);
      });
  return whole ? kPersonThr : 0.0f;
}

std::vector<float> person_scores(const Poses& poses) {
  std::vector<float> result;
  for (std::size_t row = 0; row < poses.size(); ++row) {
    float total = 0;
    int counted = 0;
    const float* scores = poses.scores_of(row);
    for (std::size_t k = 0; k < poses.keypoint_count; ++k) {
      if (!(scores[k] > kScoreFloor)) continue;
      total += scores[k];
      ++counted;
    }
    const double score = static_cast<double>(poses.box_scores[row] * total) / std::max(counted, 1);
    result.push_back(static_cast<float>(score));
  }
  return result;
}

Rows people_rows(const Poses& poses, const Skeleton& skeleton, float person_thr) {
  const std::vector<float> scores = person_scores(poses);
  Rows likely;
  for (std::size_t row = 0; row < poses.size(); ++row) {
    if (person_thr <= 0 || scores[row] >= person_thr) likely.push_back(row);
  }
  if (person_thr <= 0 || likely.size() < 2) return likely;

  // Each person once.
  const Poses people = poses.select(likely);
  const int half = static_cast<int>(skeleton.size() + 1) / 2;
  const Extents found = extents(people, kSeenScore, kExtentScale, half, -1);
  Rows rows = distinct(people, found.boxes, skeleton, kSamePersonOks);
  for (std::size_t& row : rows) row = likely[row];
  return rows;
}

Extents extents(const Poses& poses, float kpt_thr, float scale, int min_keypoints,
                float min_size) {
  Extents result;
  for (std::size_t row = 0; row < poses.size(); ++row) {
    const PoseBox found = pose_box(poses, row, kpt_thr, scale);
    const bool enough =
        found.seen >= min_keypoints && (!(min_size > 0) || box_size(found.box) >= min_size);
    result.boxes.push_back(enough ? found.box : poses.boxes[row]);
    result.enough.push_back(enough);
  }
  return result;
}

Rows distinct(const Poses& poses, const std::vector<Box>& boxes, const Skeleton& skeleton,
              float nms_thr) {
  Rows all(poses.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  if (poses.size() < 2) return all;

  // Boxes alone, where the keypoint set has no tolerances.
  const std::vector<float> scores = person_scores(poses);
  if (skeleton.sigmas.empty()) {
    Rows kept = nms(boxes, scores, nms_thr);
    std::sort(kept.begin(), kept.end());
    return kept;
  }
  std::vector<PoseRef> refs;
  for (std::size_t row = 0; row < poses.size(); ++row) {
    const float size = box_size(boxes[row]);
    refs.push_back({poses.points_of(row), poses.scores_of(row), size * size, {0, 0}});
  }
  Rows kept = oks_nms(refs, scores, skeleton.sigmas, nms_thr);
  std::stable_sort(kept.begin(), kept.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });

  // Of similar poses the one with the highest score stays.
  Rows chosen;
  for (const std::size_t row : kept) {
    const bool again = std::any_of(chosen.begin(), chosen.end(), [&](std::size_t other) {
      return same_person(refs[row], refs[other], skeleton, nms_thr);
    });
    if (!again) chosen.push_back(row);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace rtmpose::core
