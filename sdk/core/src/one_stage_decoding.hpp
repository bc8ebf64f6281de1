// RTMO's outputs: people with boxes and keypoints, suppression inside (Lu et al., 2023).
#pragma once

#include "array.hpp"
#include "types.hpp"

namespace rtmpose::core {

// Rows below it are padding or noise, whatever threshold is asked for.
constexpr float kLowestPersonScore = 0.05f;

// Whether outputs of these names and shapes are RTMO's; -1 marks a dimension that may vary.
bool is_rtmo(const std::vector<std::string>& names, const std::vector<Shape>& shapes);

// People of the first image in input pixels, highest score first, from dets (1, N, 5) and keypoints
// (1, N, K, 3). Throws Error where the shapes are others.
Poses read_rtmo(const Arrays& outputs, float score_thr, const std::string& name);

}  // namespace rtmpose::core
