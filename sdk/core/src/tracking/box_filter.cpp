#include "tracking/box_filter.hpp"

#include <algorithm>
#include <cmath>

namespace rtmpose::core {
namespace {

// Factor on the velocity per 30th of a second unseen.
constexpr double kCoast = 0.93;

double square(double value) { return value * value; }

// Corners to center and size.
void measure(const Box& box, double* place) {
  const double x1 = box.x1;
  const double y1 = box.y1;
  const double x2 = box.x2;
  const double y2 = box.y2;
  place[0] = (x1 + x2) / 2;
  place[1] = (y1 + y2) / 2;
  place[2] = x2 - x1;
  place[3] = y2 - y1;
}

}  // namespace

BoxFilter::BoxFilter(const Box& box, double position, double velocity)
    : position_(position), velocity_(velocity) {
  // Generous at the start: the first pace is unknown.
  measure(box, place_);
  place_variance_ = square(2 * position_ * height());
  pace_variance_ = square(10 * velocity_ * height() / kFrameS);
}

Box BoxFilter::predict(double step_s) {
  // Uncertainty grows with time, and that of the pace adds to that of the place.
  const double frames = std::max(step_s / kFrameS, 1e-3);
  const double noise = square(position_ * height()) * frames;
  const double pace_noise = square(velocity_ * height() / kFrameS) * frames;
  for (int i = 0; i < 4; ++i) place_[i] += pace_[i] * step_s;
  place_variance_ += (2 * shared_ + pace_variance_ * step_s) * step_s + noise;
  shared_ += pace_variance_ * step_s;
  pace_variance_ += pace_noise;
  return box();
}

void BoxFilter::coast(double step_s) {
  const double factor = std::pow(kCoast, step_s / kFrameS);
  pace_[0] *= factor;
  pace_[1] *= factor;

  // A person half hidden has a box that shrinks; that must not go on when they are hidden wholly.
  pace_[2] = pace_[3] = 0;
}

void BoxFilter::update(const Box& box) {
  // How far the measurement is believed, for the place and for the pace.
  const double total = place_variance_ + square(position_ * height());
  const double gain = place_variance_ / total;
  const double pace_gain = shared_ / total;
  double measured[4];
  measure(box, measured);
  for (int i = 0; i < 4; ++i) {
    const double surprise = measured[i] - place_[i];
    place_[i] += gain * surprise;
    pace_[i] += pace_gain * surprise;
  }

  // Everything is more certain than before; the order matters, each uses the old values.
  pace_variance_ -= pace_gain * shared_;
  shared_ -= gain * shared_;
  place_variance_ -= gain * place_variance_;
}

Box BoxFilter::box() const {
  // A filter may predict a size below zero; a box has at least one pixel.
  const double half_width = std::max(place_[2], 1.0) / 2;
  const double half_height = std::max(place_[3], 1.0) / 2;
  return {static_cast<float>(place_[0] - half_width), static_cast<float>(place_[1] - half_height),
          static_cast<float>(place_[0] + half_width), static_cast<float>(place_[1] + half_height)};
}

double BoxFilter::height() const { return std::max(place_[3], 1.0); }

}  // namespace rtmpose::core
