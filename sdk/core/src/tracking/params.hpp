// Settings of the tracker; names and meaning are in rtmpose.h.
#pragma once

#include <array>

#include "rtmpose.h"

namespace rtmpose::core {

// As given, with uncertainties and the filter's numbers in 64 bits, in which they are used.
struct TrackerParams {
  rtmpose_tracker_params given;
  double std_weight_position = 0;
  double std_weight_velocity = 0;
  std::array<double, 3> smooth_params{};
  double remember_s = 0;

  // Fewest seen keypoints of a followed person, for a set of `count` points.
  int min_keypoints(std::size_t count) const;
};

rtmpose_tracker_params default_tracker_params() noexcept;

// Throws Error where a value makes no sense.
TrackerParams checked_params(const rtmpose_tracker_params& given);

}  // namespace rtmpose::core
