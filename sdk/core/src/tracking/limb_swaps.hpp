// Left and right limbs that a network exchanges from one frame to the next.
#pragma once

#include "skeleton.hpp"
#include "tracking/state.hpp"

namespace rtmpose::core {

// What gets exchanged: the left forearm, or the left lower leg with foot.
struct LimbChain {
  std::vector<std::size_t> left;
  std::vector<std::size_t> both;  // the left points, then their mirror images
};

std::vector<LimbChain> limb_chains(const Skeleton& skeleton);

// Exchanges left and right limbs back, in place, where that is far closer to the last frame.
void repair_swaps(Track& track, const Skeleton& skeleton, const std::vector<LimbChain>& chains,
                  std::vector<Point>& points, std::vector<float>& scores);

}  // namespace rtmpose::core
