#include "tracking/params.hpp"

#include <cmath>
#include <string>

#include "array.hpp"
#include "types.hpp"

namespace rtmpose::core {
namespace {

constexpr float kMany = 1e6f;

void check_range(const char* name, float value, float lowest, float highest) {
  if (value >= lowest && value <= highest) return;  // false for what is no number
  fail_argument(std::string(name) + " is " + number_text(value) + ", not in " +
                number_text(lowest) + " .. " + number_text(highest));
}

void check_above_zero(const char* name, float value, float highest) {
  if (value > 0 && value <= highest) return;
  fail_argument(std::string(name) + " is " + number_text(value) + ", not above 0 and at most " +
                number_text(highest));
}

void check_count(const char* name, std::int32_t value, std::int32_t lowest) {
  constexpr std::int32_t kHighest = 1000000;
  if (value >= lowest && value <= kHighest) return;
  fail_argument(std::string(name) + " is " + number_text(value) + ", not in " +
                number_text(lowest) + " .. " + number_text(kHighest));
}

// The decimal number that somebody wrote, of which 32 bits hold seven digits.
double decimal(float value) { return std::round(static_cast<double>(value) * 1e7) / 1e7; }

}  // namespace

int TrackerParams::min_keypoints(std::size_t count) const {
  return given.pose_min_keypoints < 0 ? static_cast<int>(count + 1) / 2 : given.pose_min_keypoints;
}

rtmpose_tracker_params default_tracker_params() noexcept {
  rtmpose_tracker_params params{};
  params.struct_size = sizeof(params);
  params.det_interval = 1;
  params.det_label = 0;
  params.det_thr = 0.3f;
  params.det_min_bbox_size = -1;
  params.det_nms_thr = 0.7f;
  params.pose_max_num_bboxes = -1;
  params.pose_kpt_thr = 0.5f;
  params.pose_min_keypoints = -1;
  params.pose_bbox_scale = 1.25f;
  params.pose_min_bbox_size = -1;
  params.pose_nms_thr = 0.5f;
  params.track_iou_thr = 0.4f;
  params.track_max_missing = 10;
  params.track_history_size = 1;
  params.std_weight_position = 0.05f;
  params.std_weight_velocity = 0.00625f;
  params.smooth_params[0] = 0.007f;
  params.smooth_params[1] = 1;
  params.smooth_params[2] = 1;
  params.smooth = 1;
  params.repair_swaps = 1;
  params.remember_s = 1;
  params.confirm = 2;
  params.person_thr = -1;
  params.whole_image = 0;
  return params;
}

TrackerParams checked_params(const rtmpose_tracker_params& given) {
  check_count("det_interval", given.det_interval, 1);
  check_count("det_label", given.det_label, -1);
  check_range("det_thr", given.det_thr, 0, 1);
  check_range("det_min_bbox_size", given.det_min_bbox_size, -1, kMany);
  check_range("det_nms_thr", given.det_nms_thr, 0, 1);
  check_count("pose_max_num_bboxes", given.pose_max_num_bboxes, -1);
  check_range("pose_kpt_thr", given.pose_kpt_thr, 0, 100);
  check_count("pose_min_keypoints", given.pose_min_keypoints, -1);
  check_above_zero("pose_bbox_scale", given.pose_bbox_scale, 100);
  check_range("pose_min_bbox_size", given.pose_min_bbox_size, -1, kMany);
  check_range("pose_nms_thr", given.pose_nms_thr, 0, 1);
  check_range("track_iou_thr", given.track_iou_thr, 0, 1);
  check_count("track_max_missing", given.track_max_missing, 0);
  check_count("track_history_size", given.track_history_size, 1);
  check_above_zero("std_weight_position", given.std_weight_position, 1000);
  check_above_zero("std_weight_velocity", given.std_weight_velocity, 1000);
  for (const float value : given.smooth_params) check_range("smooth_params", value, 0, kMany);
  check_range("remember_s", given.remember_s, 0, 1e12f);
  check_count("confirm", given.confirm, 1);
  check_range("person_thr", given.person_thr, -1, 1);

  TrackerParams params{given, 0, 0, {}, 0};
  params.std_weight_position = decimal(given.std_weight_position);
  params.std_weight_velocity = decimal(given.std_weight_velocity);
  for (std::size_t i = 0; i < 3; ++i) params.smooth_params[i] = decimal(given.smooth_params[i]);
  params.remember_s = decimal(given.remember_s);
  return params;
}

}  // namespace rtmpose::core
