// Keypoint sets: what the points are, which are mirror images, how exact their labels are.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "json_file.hpp"

namespace rtmpose::core {

struct Skeleton {
  std::string name;
  std::vector<std::string> keypoints;
  std::vector<int> flip_indices;           // the point that takes its place in a mirrored image
  std::vector<bool> is_left;               // of the subject's own left side
  std::vector<std::pair<int, int>> links;  // drawn as limbs
  std::vector<double> sigmas;              // as of COCO; empty where unpublished

  std::size_t size() const { return keypoints.size(); }
};

// A set in a model's card. Throws Error where its parts do not fit together.
Skeleton skeleton_from_json(const Json& table);

// A published set. Throws Error where there is none of that name.
Skeleton skeleton_by_name(const std::string& name);

// The set of the published models with that many points, else points of unknown meaning.
Skeleton skeleton_for_count(std::size_t count);

}  // namespace rtmpose::core
