// The C interface: streams, and the tracker of poses that are computed elsewhere.
#include "api_stream_handles.hpp"

#include <algorithm>
#include <cmath>

#include "api_support.hpp"
#include "rtmpose_core.h"

using namespace rtmpose::core;

namespace rtmpose::core {

void check_time(double time_s) {
  if (std::isinf(time_s)) fail_argument("time_s is infinite");
}

Detections given_detections(const rtmpose_box* boxes, const float* scores,
                            const std::int32_t* labels, std::int32_t count,
                            const TrackerParams& params) {
  check_boxes(boxes, count);
  Detections found;
  const std::int32_t person = std::max(params.given.det_label, 0);
  for (std::int32_t i = 0; i < count; ++i) {
    const float score = scores ? scores[i] : 1.0f;
    if (!std::isfinite(score)) {
      fail_argument("the score of box " + std::to_string(i) + " is not a number");
    }
    found.add(boxes[i], score, labels ? labels[i] : person);
  }
  return found;
}

}  // namespace rtmpose::core

namespace {

constexpr std::int32_t kLargestFrameSide = 100000;
constexpr std::int32_t kMostKeypoints = 10000;

Skeleton skeleton_of(const char* text, std::int32_t count) {
  if (count < 0 || count > kMostKeypoints) {
    fail_argument("keypoint_count is " + std::to_string(count));
  }
  if (!text) {
    if (count == 0) fail_argument("neither a skeleton nor a keypoint_count is given");
    return skeleton_for_count(static_cast<std::size_t>(count));
  }
  const std::string name = text;
  Skeleton skeleton = !name.empty() && name[0] == '{'
                          ? skeleton_from_json(parse_json(name, "the skeleton"))
                          : skeleton_by_name(name);
  if (count != 0 && skeleton.size() != static_cast<std::size_t>(count)) {
    fail_argument(skeleton.name + " has " + std::to_string(skeleton.size()) +
                  " keypoints, not " + std::to_string(count));
  }
  return skeleton;
}

// Poses that were computed in the boxes that were wanted.
Poses poses_in(const Detections& wanted, std::size_t keypoint_count, const float* keypoints,
               const float* scores) {
  Poses poses;
  poses.keypoint_count = keypoint_count;
  poses.boxes = wanted.boxes;
  poses.box_scores = wanted.scores;
  const std::size_t count = wanted.size() * keypoint_count;
  for (std::size_t i = 0; i < count; ++i) {
    if (!std::isfinite(keypoints[2 * i]) || !std::isfinite(keypoints[2 * i + 1]) ||
        !std::isfinite(scores[i])) {
      fail_argument("keypoint " + std::to_string(i % keypoint_count) + " of person " +
                    std::to_string(i / keypoint_count) + " is not a number");
    }
    poses.points.push_back({keypoints[2 * i], keypoints[2 * i + 1]});
    poses.scores.push_back(scores[i]);
  }
  return poses;
}

}  // namespace

// ---- trackers and streams

void rtmpose_tracker_params_init(rtmpose_tracker_params* params, std::uint32_t struct_size) {
  fill_struct(params, struct_size, default_tracker_params());
}

rtmpose_status rtmpose_tracker_create_bare(const char* skeleton, std::int32_t keypoint_count,
                                           std::int32_t one_stage,
                                           const rtmpose_tracker_params* params,
                                           rtmpose_tracker** tracker) {
  return guarded([&] {
    check_given(tracker, "tracker");
    *tracker = nullptr;
    const TrackerParams settings =
        checked_params(read_struct(params, default_tracker_params(), "rtmpose_tracker_params"));
    auto set = std::make_shared<const Skeleton>(skeleton_of(skeleton, keypoint_count));
    auto data = std::make_shared<const Tracker>(settings, std::move(set), one_stage != 0);
    *tracker = new rtmpose_tracker{std::move(data), nullptr};
  });
}

void rtmpose_tracker_destroy(rtmpose_tracker* tracker) { delete tracker; }

float rtmpose_tracker_lowest_score(const rtmpose_tracker* tracker) {
  return tracker ? tracker->data->lowest_score() : -1.0f;
}

rtmpose_status rtmpose_stream_create(const rtmpose_tracker* tracker, rtmpose_stream** stream) {
  return guarded([&] {
    check_given(stream, "stream");
    *stream = nullptr;
    check_given(tracker, "tracker");
    auto made = std::make_unique<rtmpose_stream>();
    made->tracker = tracker->data;
    *stream = made.release();
  });
}

void rtmpose_stream_destroy(rtmpose_stream* stream) { delete stream; }

rtmpose_status rtmpose_stream_reset(rtmpose_stream* stream) {
  return guarded([&] {
    check_given(stream, "stream");
    const StreamLock lock(stream);
    stream->state.reset();
  });
}

// ---- the two halves of a frame

std::int32_t rtmpose_stream_wants_detection(const rtmpose_stream* stream) {
  std::int32_t wants = 0;
  guarded([&] {
    check_given(stream, "stream");
    const StreamLock lock(stream);
    wants = stream->tracker->wants_detection(stream->state) ? 1 : 0;
  });
  return wants;
}

rtmpose_status rtmpose_stream_begin(rtmpose_stream* stream, std::int32_t width, std::int32_t height,
                                    double time_s, const rtmpose_box* boxes,
                                    const float* box_scores, const std::int32_t* labels,
                                    std::int32_t box_count, const rtmpose_detections** wanted) {
  return guarded([&] {
    check_given(wanted, "wanted");
    *wanted = nullptr;
    check_given(stream, "stream");
    const StreamLock lock(stream);
    const Tracker& tracker = *stream->tracker;
    TrackState& state = stream->state;
    if (state.pending.active) {
      fail_argument("the stream's last frame has no poses yet: call rtmpose_stream_finish first");
    }
    if (width < 1 || height < 1 || width > kLargestFrameSide || height > kLargestFrameSide) {
      fail_argument("the frame has " + std::to_string(width) + "x" + std::to_string(height) +
                    " pixels");
    }
    check_time(time_s);
    const Detections found =
        given_detections(boxes, box_scores, labels, box_count, tracker.params());
    tracker.predict(state, {width, height}, time_s);
    tracker.choose_boxes(state, boxes ? &found : nullptr);
    *wanted = new DetectionsResult(state.pending.wanted);
  });
}

rtmpose_status rtmpose_stream_finish(rtmpose_stream* stream, const float* keypoints,
                                     const float* scores, std::int32_t count,
                                     const rtmpose_poses** poses) {
  return guarded([&] {
    check_given(poses, "poses");
    *poses = nullptr;
    check_given(stream, "stream");
    const StreamLock lock(stream);
    const Tracker& tracker = *stream->tracker;
    TrackState& state = stream->state;
    if (!state.pending.active) {
      fail_argument("the stream has no frame begun: call rtmpose_stream_begin first");
    }
    const std::size_t needed = state.pending.wanted.size();
    if (count < 0 || static_cast<std::size_t>(count) != needed) {
      fail_argument("poses were wanted in " + std::to_string(needed) + " boxes, but " +
                    std::to_string(count) + " are given");
    }
    if (count > 0) {
      check_given(keypoints, "keypoints");
      check_given(scores, "scores");
    }
    TrackedPoses people = tracker.finish(
        state, poses_in(state.pending.wanted, tracker.skeleton().size(), keypoints, scores));
    *poses = new PosesResult(std::move(people.poses), std::move(people.ids), true,
                             tracker.shared_skeleton());
  });
}
