#include "tracking/candidates.hpp"

#include <algorithm>

#include "boxes.hpp"

namespace rtmpose::core {
namespace {

constexpr float kContained = 0.8f;

// A confident detection with this overlap is that of the expected person.
constexpr float kTakenIou = 0.5f;

// A doubtful detection needs this overlap with where somebody is expected.
constexpr float kExpectedIou = 0.3f;

using Tracks = std::vector<std::unique_ptr<Track>>;

// Whether a detection has the label of a person, and the size.
bool is_eligible(const Detections& found, std::size_t row, const TrackerParams& params) {
  const rtmpose_tracker_params& p = params.given;
  if (p.det_label >= 0 && found.labels[row] != p.det_label) return false;
  return !(p.det_min_bbox_size > 0) || box_size(found.boxes[row]) >= p.det_min_bbox_size;
}

// Where tracked people are expected whom no confident detection shows.
std::vector<Box> unseen_people(const Detections& found, const Rows& confident,
                               const Tracks& tracks) {
  std::vector<Box> expected;
  for (const std::unique_ptr<Track>& track : tracks) {
    const bool taken = std::any_of(confident.begin(), confident.end(), [&](std::size_t row) {
      return box_iou(track->predicted, found.boxes[row]) > kTakenIou;
    });
    if (!taken) expected.push_back(track->predicted);
  }
  return expected;
}

float area_of(const Box& box) {
  const float size = box_size(box);
  return size * size;
}

// Whether most of a box lies in another that is not much larger: not for a child in front of an
// adult.
bool is_contained(const Box& box, const Box& other) {
  const float shared = intersection_area(box, other);
  const float area = area_of(box);
  const float other_area = area_of(other);
  return shared > kContained * std::min(area, other_area) &&
         shared > 0.45f * std::max(area, other_area);
}

// Whether a followed box and a detected one are the same person.
bool is_detected(const Box& followed, const Detections& detected, const TrackerParams& params) {
  return std::any_of(detected.boxes.begin(), detected.boxes.end(), [&](const Box& box) {
    return box_iou(followed, box) > params.given.det_nms_thr || is_contained(followed, box);
  });
}

Detections select(const Detections& all, const Rows& rows) {
  Detections chosen;
  for (const std::size_t row : rows) chosen.add(all.boxes[row], all.scores[row], all.labels[row]);
  return chosen;
}

// Without small boxes and those beyond the largest number.
Detections limited(const Detections& all, const TrackerParams& params) {
  const float smallest = params.given.pose_min_bbox_size;
  Rows large;
  for (std::size_t row = 0; row < all.size(); ++row) {
    if (!(smallest > 0) || box_size(all.boxes[row]) >= smallest) large.push_back(row);
  }
  const Detections kept = select(all, large);
  const int most = params.given.pose_max_num_bboxes;
  if (most < 0) return kept;
  Rows first = rows_by_score(kept.scores);
  first.resize(std::min(first.size(), static_cast<std::size_t>(most)));
  return select(kept, first);
}

}  // namespace

Rows accepted_rows(const Detections& found, const Tracks& tracks, const TrackerParams& params) {
  Rows confident;
  Rows weak;
  for (std::size_t row = 0; row < found.size(); ++row) {
    if (!is_eligible(found, row, params)) continue;
    if (found.scores[row] >= params.given.det_thr) confident.push_back(row);
    else if (found.scores[row] >= kDoubtfulThr) weak.push_back(row);
  }
  if (weak.empty() || tracks.empty()) return confident;

  // Low-scoring detections count where a tracked person is expected and no confident one is, as in
  // ByteTrack (ECCV 2022).
  const std::vector<Box> expected = unseen_people(found, confident, tracks);
  Rows accepted = confident;
  for (const std::size_t row : weak) {
    const bool wanted = std::any_of(expected.begin(), expected.end(), [&](const Box& box) {
      return box_iou(found.boxes[row], box) > kExpectedIou;
    });
    if (wanted) accepted.push_back(row);
  }
  std::sort(accepted.begin(), accepted.end());
  return accepted;
}

Detections merged_boxes(const Detections& found, const Rows& accepted, const Tracks& tracks,
                        const TrackerParams& params) {
  // Detected boxes first: with equal scores a sort keeps them.
  Detections detected;
  for (const std::size_t row : accepted) {
    detected.add(found.boxes[row], found.scores[row], static_cast<std::int64_t>(row));
  }
  Detections all = detected;
  for (const std::unique_ptr<Track>& track : tracks) {
    if (!track->follow || track->missing > 1) continue;
    const Point moved = track->moved;
    const Box box{track->box.x1 + moved.x, track->box.y1 + moved.y, track->box.x2 + moved.x,
                  track->box.y2 + moved.y};
    if (!is_detected(box, detected, params)) all.add(box, track->box_score, -1);
  }
  return limited(all, params);
}

bool is_nested(const Box& box, const std::vector<Box>& others) {
  return std::any_of(others.begin(), others.end(), [&](const Box& other) {
    const float smaller = std::min(box_size(box), box_size(other));
    return intersection_area(box, other) > kContained * (smaller * smaller);
  });
}

}  // namespace rtmpose::core
