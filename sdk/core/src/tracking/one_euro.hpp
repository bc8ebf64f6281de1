// Smoothing of keypoints while a video runs: the one-euro filter (Casiez et al., CHI 2012).
#pragma once

#include <array>
#include <vector>

#include "types.hpp"

namespace rtmpose::core {

// The keypoints of one person.
class OneEuro {
 public:
  // params: how much speed raises the cut-off; the cut-off of what stands still, and that of the
  // speed estimate, in Hz.
  explicit OneEuro(const std::array<double, 3>& params) : params_(params) {}

  // Smooths in place; the first points stay as they are.
  void apply(Point* points, std::size_t count, double time_s);

 private:
  std::array<double, 3> params_;
  std::vector<double> values_;  // x and y of each point
  std::vector<double> speeds_;
  double time_ = 0;
};

}  // namespace rtmpose::core
