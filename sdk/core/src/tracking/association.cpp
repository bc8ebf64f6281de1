#include "tracking/association.hpp"

#include <algorithm>
#include <cmath>

#include "boxes.hpp"
#include "tracking/assignment.hpp"

namespace rtmpose::core {
namespace {

// A lost person may reappear within this many box lengths of where they were expected.
constexpr double kLostReach = 0.7;

// Points below it in either pose do not count for their likeness.
constexpr float kLowestScore = 0.2f;

struct Frame {
  const Poses& poses;
  const std::vector<Box>& boxes;
  const Skeleton& skeleton;
  double iou_thr;
};

float longer_side(const Box& box) { return std::max(box.x2 - box.x1, box.y2 - box.y1); }

Point center_of(const Box& box) { return {(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2}; }

// Object keypoint similarity of a track's last pose, moved on, with a pose of the frame. Areas
// count twice, for a tolerance wider than the evaluation's: people move between frames.
double likeness_of(const Track& track, const Frame& frame, std::size_t row) {
  const float size = box_size(track.predicted);
  const float other_size = box_size(frame.boxes[row]);
  const PoseRef expected{track.points.data(), track.scores.data(), 2 * size * size, track.moved};
  const PoseRef seen{frame.poses.points_of(row), frame.poses.scores_of(row),
                     2 * other_size * other_size, {0, 0}};
  return oks(expected, seen, frame.skeleton.sigmas, kLowestScore);
}

// How far a box is from where a lost person is expected, as a fraction of how far they may be.
double distance_of(const Track& track, const Box& box) {
  // The longer somebody is away, the farther they may have gone.
  const double length = longer_side(track.predicted);
  const double reach = static_cast<float>(kLostReach) * static_cast<float>(length) *
                       (1 + 0.1 * track.missing);
  const Point expected = center_of(track.predicted);
  const Point center = center_of(box);
  const float x = expected.x - center.x;
  const float y = expected.y - center.y;
  return static_cast<double>(std::sqrt(x * x + y * y)) / reach;
}

// A person who curls up or falls is no longer tall, but about as long.
bool is_about_as_long(const Box& a, const Box& b) {
  const float ratio = longer_side(a) / std::max(longer_side(b), 1.0f);
  return ratio > 0.5f && ratio < 2;
}

// Overlap of the predicted box and likeness of the pose; 0 where they cannot be the same person.
double similarity(const Track& track, const Frame& frame, std::size_t row, bool lost) {
  const Box& box = frame.boxes[row];
  const double overlap = box_iou(track.predicted, box);
  const double likeness =
      frame.skeleton.sigmas.empty() ? overlap : likeness_of(track, frame, row);

  // Either is enough: a box may change shape, and a pose may be seen in part.
  double value = 0.5 * (overlap + likeness);
  bool possible = overlap >= frame.iou_thr || likeness >= std::max(frame.iou_thr, 0.3);
  if (lost) {
    // A lost person has no fresh box, so being near and of the same size is enough. The nearer, the
    // higher the similarity.
    const double away = distance_of(track, box);
    value = std::max(value, 1e-3) * (1 + std::max(0.0, 1 - away));
    possible = possible || (away < 1 && is_about_as_long(track.predicted, box));
  }
  return possible && std::isfinite(value) ? value : 0.0;
}

void assign_round(const std::vector<Track*>& candidates, const Frame& frame, bool lost,
                  Rows& free, std::vector<Match>& matches) {
  if (candidates.empty() || free.empty()) return;
  std::vector<double> similar;
  for (const Track* track : candidates) {
    for (const std::size_t row : free) similar.push_back(similarity(*track, frame, row, lost));
  }

  // Pairs of similarity 0 are no matches.
  Rows taken;
  for (const auto& [candidate, column] : best_assignment(similar, candidates.size(), free.size())) {
    if (!(similar[candidate * free.size() + column] > 0)) continue;
    matches.push_back({free[column], candidates[candidate]});
    taken.push_back(free[column]);
  }
  free.erase(std::remove_if(free.begin(), free.end(),
                            [&](std::size_t row) {
                              return std::find(taken.begin(), taken.end(), row) != taken.end();
                            }),
             free.end());
}

}  // namespace

std::vector<Match> assign(const std::vector<std::unique_ptr<Track>>& tracks, const Poses& poses,
                          const std::vector<Box>& boxes, const Skeleton& skeleton,
                          double iou_thr) {
  // Whoever is in sight has the first choice of poses; unconfirmed tracks have negative ids.
  std::vector<Track*> confirmed;
  std::vector<Track*> unconfirmed;
  std::vector<Track*> lost;
  for (const std::unique_ptr<Track>& track : tracks) {
    if (track->missing) lost.push_back(track.get());
    else (track->id > 0 ? confirmed : unconfirmed).push_back(track.get());
  }

  // Poses that a round leaves free are offered to the next one.
  const Frame frame{poses, boxes, skeleton, iou_thr};
  Rows free(poses.size());
  for (std::size_t row = 0; row < free.size(); ++row) free[row] = row;
  std::vector<Match> matches;
  assign_round(confirmed, frame, false, free, matches);
  assign_round(unconfirmed, frame, false, free, matches);
  assign_round(lost, frame, true, free, matches);
  return matches;
}

}  // namespace rtmpose::core
