#include "tracking/one_euro.hpp"

#include <algorithm>
#include <cmath>

namespace rtmpose::core {
namespace {

constexpr double kPi = 3.14159265358979323846;

// The weight of a first-order low-pass for that cut-off (Hz) and interval (s).
double weight_of(double cutoff, double step) {
  const double turn = 2 * kPi * cutoff * step;
  return turn / (turn + 1);
}

}  // namespace

void OneEuro::apply(Point* points, std::size_t count, double time_s) {
  const auto [beta, fc_min, fc_derivative] = params_;
  if (values_.empty()) {
    for (std::size_t i = 0; i < count; ++i) {
      values_.push_back(points[i].x);
      values_.push_back(points[i].y);
    }
    speeds_.assign(2 * count, 0.0);
    time_ = time_s;
    return;
  }
  const double step = std::max(time_s - time_, 1e-4);
  const double speed_weight = weight_of(fc_derivative, step);
  for (std::size_t i = 0; i < count; ++i) {
    const double raw[2] = {points[i].x, points[i].y};
    double* value = values_.data() + 2 * i;
    double* speed = speeds_.data() + 2 * i;
    for (int axis = 0; axis < 2; ++axis) {
      speed[axis] += speed_weight * ((raw[axis] - value[axis]) / step - speed[axis]);
    }

    // One cut-off per point: a limb that moves along x must not be held back along y.
    const double pace = std::sqrt(speed[0] * speed[0] + speed[1] * speed[1]);
    const double weight = weight_of(fc_min + beta * pace, step);
    for (int axis = 0; axis < 2; ++axis) value[axis] += weight * (raw[axis] - value[axis]);
    points[i] = {static_cast<float>(value[0]), static_cast<float>(value[1])};
  }
  time_ = time_s;
}

}  // namespace rtmpose::core
