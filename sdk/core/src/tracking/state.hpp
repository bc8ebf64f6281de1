// What a tracker remembers: a person, and all people of one stream.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tracking/box_filter.hpp"
#include "tracking/one_euro.hpp"
#include "tracking/params.hpp"

namespace rtmpose::core {

// One person: where they are, how they move, and how often they were seen.
struct Track {
  Track(std::int64_t number, BoxFilter motion) : id(number), filter(std::move(motion)) {}

  std::int64_t id;  // negative: not confirmed
  BoxFilter filter;

  // The last pose and its box.
  std::vector<Point> points;
  std::vector<float> scores;
  Box box{};
  float box_score = 0;
  std::optional<OneEuro> smoother;

  // How often seen, and how long not.
  int missing = 0;
  double missing_s = 0;
  int hits = 1;
  int swapped = 0;
  bool follow = true;

  // Where the person should be in this frame, and by how much the center moved.
  Box predicted{};
  Point moved{};
};

// A frame between its two halves.
struct PendingFrame {
  bool active = false;
  Size size;
  double now = 0;
  Detections wanted;  // labels: the index among the given boxes, -1 for somebody who is followed
};

// Of one video or camera.
class TrackState {
 public:
  std::vector<std::unique_ptr<Track>> tracks;
  std::int64_t frames = 0;
  PendingFrame pending;

  // Forgets the people; ids go on, so that none is used twice.
  void reset();

  std::int64_t new_id() { return ++last_id_; }

  struct Moment {
    double now;
    double interval;
  };

  // Time of this frame and the interval from the last one, in seconds. time_s: NaN without a clock.
  Moment step(double time_s);

 private:
  std::optional<double> time_;
  std::int64_t last_id_ = 0;
};

// Whether a track is kept: the person is in sight, or may still come back. `missing` counts this
// frame too.
bool is_remembered(const Track& track, const TrackerParams& params, Size frame);

}  // namespace rtmpose::core
