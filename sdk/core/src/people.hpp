// Which poses are people: each person once, and nobody who is too doubtful.
#pragma once

#include "skeleton.hpp"
#include "types.hpp"

namespace rtmpose::core {

// The lowest person score for a keypoint set: the given one, and where that is negative 0.12 for sets
// of whole people and 0 for hands, faces, animals and unknown sets.
float person_thr_for(const Skeleton& skeleton, float given);

// Box score times the mean of the keypoint scores above 0.2.
std::vector<float> person_scores(const Poses& poses);

// Rows of found poses that are people, in ascending order; person_thr 0 keeps all.
Rows people_rows(const Poses& poses, const Skeleton& skeleton, float person_thr);

// The box around the seen keypoints of each pose, and whether it is seen well enough for one; the
// others keep the box that their pose was estimated in.
struct Extents {
  std::vector<Box> boxes;
  std::vector<bool> enough;
};

// kpt_thr: score above which a keypoint is seen. scale: from the extent to the box. min_keypoints:
// fewest seen ones. min_size: smallest box, as the root of its area; not positive for any.
Extents extents(const Poses& poses, float kpt_thr, float scale, int min_keypoints, float min_size);

// Rows that stay when poses of one person are counted once, in ascending order.
Rows distinct(const Poses& poses, const std::vector<Box>& boxes, const Skeleton& skeleton,
              float nms_thr);

}  // namespace rtmpose::core
