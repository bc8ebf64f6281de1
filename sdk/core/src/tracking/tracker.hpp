// The tracker without networks: which boxes to estimate poses in, and who is who.
//
// The way of a frame: predict every track's box -> detections that count, merged with followed
// boxes -> (poses, elsewhere) -> drop duplicates -> assign poses to tracks -> repair, smooth, give
// ids.
#pragma once

#include "tracking/association.hpp"
#include "tracking/limb_swaps.hpp"
#include "tracking/state.hpp"

namespace rtmpose::core {

struct TrackedPoses {
  Poses poses;
  std::vector<std::int64_t> ids;
};

// Does not change after it is made: several threads may use it, each with states of its own.
class Tracker {
 public:
  // one_stage: people of whole frames come with their poses.
  Tracker(const TrackerParams& params, std::shared_ptr<const Skeleton> skeleton, bool one_stage);

  const TrackerParams& params() const { return params_; }
  const Skeleton& skeleton() const { return *skeleton_; }
  std::shared_ptr<const Skeleton> shared_skeleton() const { return skeleton_; }
  bool is_one_stage() const { return one_stage_; }

  // Lowest score that detections need to be of use.
  float lowest_score() const;

  // Whether the detector runs in the next frame of this stream.
  bool wants_detection(const TrackState& state) const;

  // First half of a frame, before its boxes are known: moves everybody on.
  void predict(TrackState& state, Size frame, double time_s) const;

  // The boxes that poses are wanted in, left in state.pending. found: what was detected; null where
  // the detector did not run.
  void choose_boxes(TrackState& state, const Detections* found) const;

  // Second half: people with ids, in the order of the ids. poses: in the chosen boxes.
  TrackedPoses finish(TrackState& state, Poses poses) const;

 private:
  struct Seen;  // the poses of a frame, each person once

  Poses people_in_sight(const Detections& wanted, Poses poses) const;
  Seen seen_people(Poses poses) const;
  void update(Track& track, const Seen& seen, std::size_t row) const;
  Track* start(TrackState& state, const Seen& seen, std::size_t row, bool duplicate) const;
  TrackedPoses shown_people(std::vector<Match> current, const Seen& seen, double now) const;
  void forget(TrackState& state, const std::vector<const Track*>& present, Size frame) const;

  TrackerParams params_;
  std::shared_ptr<const Skeleton> skeleton_;
  bool one_stage_;
  std::vector<LimbChain> chains_;
};

}  // namespace rtmpose::core
