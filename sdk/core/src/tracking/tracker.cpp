#include "tracking/tracker.hpp"

#include <algorithm>
#include <numeric>

#include "boxes.hpp"
#include "people.hpp"
#include "tracking/candidates.hpp"

namespace rtmpose::core {
namespace {

// Mean keypoint score from which a new track needs no confirmation.
constexpr float kConfidentNewTrack = 0.45f;

// Sightings after which a pose is compared with the last one.
constexpr int kSettledHits = 3;

float mean_of(const float* values, std::size_t count) {
  return std::accumulate(values, values + count, 0.0f) / static_cast<float>(count);
}

}  // namespace

// The poses of a frame, each person once.
struct Tracker::Seen {
  Poses poses;
  std::vector<Box> boxes;    // that people are followed by
  std::vector<bool> enough;  // whether enough keypoints are seen to follow somebody
};

Tracker::Tracker(const TrackerParams& params, std::shared_ptr<const Skeleton> skeleton,
                 bool one_stage)
    : params_(params),
      skeleton_(std::move(skeleton)),
      one_stage_(one_stage),
      chains_(limb_chains(*skeleton_)) {
  params_.given.person_thr = person_thr_for(*skeleton_, params.given.person_thr);
}

float Tracker::lowest_score() const { return std::min(params_.given.det_thr, kDoubtfulThr); }

bool Tracker::wants_detection(const TrackState& state) const {
  return state.frames % params_.given.det_interval == 0;
}

void Tracker::predict(TrackState& state, Size frame, double time_s) const {
  const TrackState::Moment moment = state.step(time_s);
  state.pending = PendingFrame();
  state.pending.size = frame;
  state.pending.now = moment.now;
  for (const std::unique_ptr<Track>& track : state.tracks) {
    // The pace of somebody out of sight is believed less and less.
    track->missing_s += moment.interval;
    if (track->missing) track->filter.coast(moment.interval);

    // The keypoints move with the center of the box.
    const Box before = track->filter.box();
    const Box after = track->filter.predict(moment.interval);
    track->predicted = after;
    track->moved = {((after.x1 + after.x2) - (before.x1 + before.x2)) / 2,
                    ((after.y1 + after.y2) - (before.y1 + before.y2)) / 2};
  }
}

void Tracker::choose_boxes(TrackState& state, const Detections* found) const {
  ++state.frames;
  PendingFrame& pending = state.pending;
  pending.active = true;
  const rtmpose_tracker_params& p = params_.given;
  if (!one_stage_ && p.whole_image) {
    // The person of a whole frame is there whatever the keypoints score.
    const Box whole{0, 0, static_cast<float>(pending.size.width),
                    static_cast<float>(pending.size.height)};
    if (found) {
      pending.wanted = *found;
      std::iota(pending.wanted.labels.begin(), pending.wanted.labels.end(), std::int64_t{0});
    } else {
      pending.wanted.add(whole, 1, -1);
    }
    return;
  }
  const Detections nothing;
  const Detections& detected = found ? *found : nothing;
  const Rows accepted = accepted_rows(detected, state.tracks, params_);
  if (!one_stage_) {
    pending.wanted = merged_boxes(detected, accepted, state.tracks, params_);
    return;
  }
  for (const std::size_t row : accepted) {
    const bool large = !(p.pose_min_bbox_size > 0) ||
                       box_size(detected.boxes[row]) >= p.pose_min_bbox_size;
    const bool full = p.pose_max_num_bboxes >= 0 &&
                      pending.wanted.size() >= static_cast<std::size_t>(p.pose_max_num_bboxes);
    if (large && !full) {
      pending.wanted.add(detected.boxes[row], detected.scores[row],
                         static_cast<std::int64_t>(row));
    }
  }
}

// Without those of people whom neither the detector nor one keypoint shows: black frames, and
// somebody who has gone. Where no keypoints are needed people are followed unseen.
Poses Tracker::people_in_sight(const Detections& wanted, Poses poses) const {
  if (one_stage_ || params_.given.whole_image || params_.min_keypoints(skeleton_->size()) == 0) {
    return poses;
  }
  const std::vector<float> scores = person_scores(poses);
  Rows kept;
  for (std::size_t row = 0; row < poses.size(); ++row) {
    const bool followed = wanted.labels[row] < 0;
    if (!followed || scores[row] > 0) kept.push_back(row);
  }
  return kept.size() == poses.size() ? std::move(poses) : poses.select(kept);
}

Tracker::Seen Tracker::seen_people(Poses poses) const {
  Seen seen;
  if (!one_stage_ && params_.given.whole_image) {
    seen.boxes = poses.boxes;
    seen.enough.assign(poses.size(), true);
    seen.poses = std::move(poses);
    return seen;
  }

  // Who can hardly be seen stays if the detector found them, but is not followed by keypoints.
  const rtmpose_tracker_params& p = params_.given;
  const Extents found = extents(poses, p.pose_kpt_thr, p.pose_bbox_scale,
                                params_.min_keypoints(skeleton_->size()), p.pose_min_bbox_size);
  const Rows kept = distinct(poses, found.boxes, *skeleton_, p.pose_nms_thr);
  seen.poses = poses.select(kept);
  for (const std::size_t row : kept) {
    seen.boxes.push_back(found.boxes[row]);
    seen.enough.push_back(found.enough[row]);
  }
  return seen;
}

void Tracker::update(Track& track, const Seen& seen, std::size_t row) const {
  const std::size_t k = seen.poses.keypoint_count;
  std::vector<Point> points(seen.poses.points_of(row), seen.poses.points_of(row) + k);
  std::vector<float> scores(seen.poses.scores_of(row), seen.poses.scores_of(row) + k);

  // Only for a settled track: the repair compares with its last pose.
  if (params_.given.repair_swaps && !track.missing && track.hits >= kSettledHits) {
    repair_swaps(track, *skeleton_, chains_, points, scores);
  }
  track.points = std::move(points);
  track.scores = std::move(scores);
  track.box = seen.boxes[row];
  track.box_score = seen.poses.box_scores[row];
  track.filter.update(track.box);

  // A box that is only followed is no sighting of a new track: there has to be a pose in it.
  const bool follow = seen.enough[row];
  if (follow || track.id > 0) ++track.hits;
  track.missing = 0;
  track.missing_s = 0;
  track.follow = follow;
  if (track.id < 0 && track.hits >= params_.given.confirm) track.id = -track.id;
}

Track* Tracker::start(TrackState& state, const Seen& seen, std::size_t row, bool duplicate) const {
  // At the start everybody is new; later a new track has to prove itself.
  const std::size_t k = seen.poses.keypoint_count;
  const float* scores = seen.poses.scores_of(row);
  const bool likely = mean_of(scores, k) >= kConfidentNewTrack && !duplicate;
  const bool confident = likely || params_.given.confirm <= 1 || state.frames <= 1;
  const std::int64_t number = state.new_id();
  const Box& box = seen.boxes[row];
  auto track = std::make_unique<Track>(
      confident ? number : -number,
      BoxFilter(box, params_.std_weight_position, params_.std_weight_velocity));
  track->points.assign(seen.poses.points_of(row), seen.poses.points_of(row) + k);
  track->scores.assign(scores, scores + k);
  track->box = box;
  track->box_score = seen.poses.box_scores[row];
  state.tracks.push_back(std::move(track));
  return state.tracks.back().get();
}

void Tracker::forget(TrackState& state, const std::vector<const Track*>& present,
                     Size frame) const {
  for (const std::unique_ptr<Track>& track : state.tracks) {
    if (std::find(present.begin(), present.end(), track.get()) != present.end()) continue;
    ++track->missing;
    track->smoother.reset();
  }
  const auto is_gone = [&](const std::unique_ptr<Track>& track) {
    return !is_remembered(*track, params_, frame);
  };
  state.tracks.erase(std::remove_if(state.tracks.begin(), state.tracks.end(), is_gone),
                     state.tracks.end());
}

TrackedPoses Tracker::finish(TrackState& state, Poses poses) const {
  const PendingFrame frame = std::move(state.pending);
  state.pending = PendingFrame();
  const Seen seen = seen_people(people_in_sight(frame.wanted, std::move(poses)));
  const std::vector<Match> matches =
      assign(state.tracks, seen.poses, seen.boxes, *skeleton_, params_.given.track_iou_thr);

  // Everybody who is there, with the row of their pose.
  std::vector<Match> current;
  std::vector<bool> matched(seen.poses.size(), false);
  std::vector<Box> matched_boxes;
  for (const Match& match : matches) {
    update(*match.track, seen, match.row);
    current.push_back(match);
    matched[match.row] = true;
    matched_boxes.push_back(seen.boxes[match.row]);
  }

  // A second pose of somebody who is there looks like a new track in the same place: it has to last
  // before it counts. Only new people have to be likely: those who are tracked may be unsure for a
  // moment.
  const bool anybody = !one_stage_ && params_.given.whole_image;
  const std::vector<float> likelihoods = person_scores(seen.poses);
  for (std::size_t row = 0; row < seen.poses.size(); ++row) {
    if (matched[row] || !seen.enough[row]) continue;
    if (!anybody && !(likelihoods[row] >= params_.given.person_thr)) continue;
    current.push_back({row, start(state, seen, row, is_nested(seen.boxes[row], matched_boxes))});
  }
  std::vector<const Track*> present;
  for (const Match& match : current) present.push_back(match.track);
  forget(state, present, frame.size);
  return shown_people(std::move(current), seen, frame.now);
}

TrackedPoses Tracker::shown_people(std::vector<Match> current, const Seen& seen, double now) const {
  // Tracks that are not confirmed have negative ids and are not shown.
  current.erase(std::remove_if(current.begin(), current.end(),
                               [](const Match& match) { return match.track->id < 0; }),
                current.end());
  std::sort(current.begin(), current.end(),
            [](const Match& a, const Match& b) { return a.track->id < b.track->id; });
  TrackedPoses shown;
  shown.poses.keypoint_count = skeleton_->size();
  for (const Match& match : current) {
    // New and returning people start a filter.
    Track& track = *match.track;
    std::vector<Point> points = track.points;
    if (params_.given.smooth) {
      if (!track.smoother) track.smoother.emplace(params_.smooth_params);
      track.smoother->apply(points.data(), points.size(), now);
    }
    shown.poses.add(seen.poses.boxes[match.row], seen.poses.box_scores[match.row], points.data(),
                    track.scores.data());
    shown.ids.push_back(track.id);
  }
  return shown;
}

}  // namespace rtmpose::core
