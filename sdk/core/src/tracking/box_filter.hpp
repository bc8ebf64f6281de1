// Where a box will be: a Kalman filter of center and size with constant velocity, in seconds.
#pragma once

#include "types.hpp"

namespace rtmpose::core {

// The interval that the published uncertainties are meant for.
constexpr double kFrameS = 1.0 / 30;

// One person's box. The four values of a box do not depend on each other and are all as uncertain:
// the covariance of the usual 8 x 8 filter holds three different numbers.
class BoxFilter {
 public:
  // Uncertainties of the place and of the velocity per frame, as fractions of the height.
  BoxFilter(const Box& box, double position, double velocity);

  // The box after that many more seconds; the filter moves there.
  Box predict(double step_s);

  // Nobody was seen: the size stays, and the pace is believed less and less.
  void coast(double step_s);

  // Takes a measured box in.
  void update(const Box& box);

  Box box() const;

 private:
  double height() const;

  double position_;
  double velocity_;
  double place_[4];    // center and size in pixels
  double pace_[4]{};   // their change per second
  double place_variance_;
  double shared_ = 0;  // covariance of place and pace
  double pace_variance_;
};

}  // namespace rtmpose::core
