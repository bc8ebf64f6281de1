// Which pose of a frame belongs to whom: similarity of tracks and poses, and their assignment.
#pragma once

#include "skeleton.hpp"
#include "tracking/state.hpp"

namespace rtmpose::core {

struct Match {
  std::size_t row;  // of the poses
  Track* track;
};

// Poses to tracks, one to one: first the people in sight, then new tracks that are not confirmed,
// then the lost; in the order they were matched. boxes: those of the poses. iou_thr: lowest overlap
// for a pose to be a track's.
std::vector<Match> assign(const std::vector<std::unique_ptr<Track>>& tracks, const Poses& poses,
                          const std::vector<Box>& boxes, const Skeleton& skeleton, double iou_thr);

}  // namespace rtmpose::core
