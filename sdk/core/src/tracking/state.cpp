#include "tracking/state.hpp"

#include <algorithm>
#include <cmath>

namespace rtmpose::core {
namespace {

// Sightings after which somebody is remembered for `remember_s`.
constexpr int kWellKnownHits = 15;

// After a long pause people are not expected far away.
constexpr double kLongestStepS = 2;

}  // namespace

void TrackState::reset() {
  tracks.clear();
  frames = 0;
  pending = PendingFrame();
  time_.reset();
}

TrackState::Moment TrackState::step(double time_s) {
  // Without a clock frames come 30 times a second.
  const double next = time_ ? *time_ + kFrameS : 0.0;
  const double now = std::isnan(time_s) ? next : time_s;

  // Streams stamp frames twice or go back after reconnecting: a frame is never earlier than the
  // last.
  const double interval = time_ ? std::max(now - *time_, 1e-3) : kFrameS;
  time_ = now;
  return {now, std::min(interval, kLongestStepS)};
}

bool is_remembered(const Track& track, const TrackerParams& params, Size frame) {
  // Whoever was seen for long is remembered by the clock, others by the number of frames.
  const bool well_known =
      track.hits >= kWellKnownHits && track.missing_s <= params.remember_s;
  if (track.missing > params.given.track_max_missing && !well_known) return false;

  // A new track that is lost before it is confirmed was hardly a person.
  if (track.hits < params.given.confirm && track.missing > 1) return false;

  // A missing person who is expected wholly outside the frame has left.
  const Box& box = track.predicted;
  const bool outside = box.x2 < 0 || box.y2 < 0 || box.x1 > static_cast<float>(frame.width) ||
                       box.y1 > static_cast<float>(frame.height);
  return !(track.missing && outside);
}

}  // namespace rtmpose::core
