#include "tracking/limb_swaps.hpp"

#include <algorithm>
#include <cmath>

namespace rtmpose::core {
namespace {

// Frames after which exchanged limbs are taken for right.
constexpr int kMostSwapFrames = 6;

// More points are no limb of a body.
constexpr std::size_t kMostLimbPoints = 8;

float distance(Point a, Point b) { return std::hypot(a.x - b.x, a.y - b.y); }

// Whether the points of a limb are clearly closer crossed, far enough apart to be told apart, and
// seen.
bool is_crossed(const LimbChain& chain, const Skeleton& skeleton,
                const std::vector<Point>& expected, const std::vector<Point>& points,
                const std::vector<float>& scores, float height) {
  const auto mirror = [&](std::size_t i) {
    return static_cast<std::size_t>(skeleton.flip_indices[i]);
  };
  float straight_far = 0;
  float crossed_far = 0;
  float lowest = scores[chain.both.front()];
  for (const std::size_t i : chain.both) {
    straight_far += distance(points[i], expected[i]);
    crossed_far += distance(points[mirror(i)], expected[i]);
    lowest = std::min(lowest, scores[i]);
  }
  float apart = 0;
  for (const std::size_t i : chain.left) apart += distance(expected[i], expected[mirror(i)]);
  apart /= static_cast<float>(chain.left.size());
  return crossed_far < 0.4f * straight_far && apart > 0.06f * height && lowest > 0.2f;
}

}  // namespace

std::vector<LimbChain> limb_chains(const Skeleton& skeleton) {
  // Parts are found by name, so that any keypoint set with such names has them.
  const std::vector<std::vector<std::string>> parts = {{"elbow", "wrist"},
                                                       {"knee", "ankle", "toe", "heel"}};
  std::vector<LimbChain> chains;
  for (const std::vector<std::string>& names : parts) {
    LimbChain chain;
    for (std::size_t i = 0; i < skeleton.size(); ++i) {
      const bool paired = skeleton.flip_indices[i] != static_cast<int>(i);
      const bool named = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        return skeleton.keypoints[i].find(name) != std::string::npos;
      });
      if (skeleton.is_left[i] && paired && named) chain.left.push_back(i);
    }
    if (chain.left.empty() || chain.left.size() > kMostLimbPoints) continue;
    chain.both = chain.left;
    for (const std::size_t i : chain.left) {
      chain.both.push_back(static_cast<std::size_t>(skeleton.flip_indices[i]));
    }
    chains.push_back(chain);
  }
  return chains;
}

void repair_swaps(Track& track, const Skeleton& skeleton, const std::vector<LimbChain>& chains,
                  std::vector<Point>& points, std::vector<float>& scores) {
  // Where the limbs should be.
  std::vector<Point> expected = track.points;
  for (Point& point : expected) {
    point = {point.x + track.moved.x, point.y + track.moved.y};
  }
  const float height = std::max(track.box.y2 - track.box.y1, 1.0f);
  const std::vector<Point> seen = points;
  const std::vector<float> seen_scores = scores;
  bool swapped = false;
  for (const LimbChain& chain : chains) {
    if (!is_crossed(chain, skeleton, expected, seen, seen_scores, height)) continue;
    for (const std::size_t i : chain.both) {
      const std::size_t mirror = static_cast<std::size_t>(skeleton.flip_indices[i]);
      points[i] = seen[mirror];
      scores[i] = seen_scores[mirror];
    }
    swapped = true;
  }

  // A network that insists was wrong before, not now.
  track.swapped = swapped ? track.swapped + 1 : 0;
  if (track.swapped > kMostSwapFrames) {
    track.swapped = 0;
    points = seen;
    scores = seen_scores;
  }
}

}  // namespace rtmpose::core
