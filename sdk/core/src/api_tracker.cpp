// The C interface: the tracker with its networks.
#include <cmath>
#include <optional>

#include "api_handles.hpp"
#include "api_stream_handles.hpp"
#include "api_support.hpp"
#include "tracking/candidates.hpp"

namespace rtmpose::core {

struct TrackerNetworks {
  std::optional<Detector> detector;
  PoseEstimator pose;
};

}  // namespace rtmpose::core

using namespace rtmpose::core;

namespace {

constexpr std::int32_t kMostFrames = 1024;

rtmpose_frame default_frame() noexcept {
  rtmpose_frame frame{};
  frame.struct_size = sizeof(frame);
  frame.detect = -1;
  frame.time_s = std::nan("");
  return frame;
}

// One frame of a batch, checked.
struct FrameTask {
  rtmpose_frame given;
  ImageView image;
  Detections boxes;  // where they come with the frame
};

FrameTask frame_task(const rtmpose_tracker& tracker, const rtmpose_frame* given) {
  check_given(given, "the frame");
  FrameTask task{read_struct(given, default_frame(), "rtmpose_frame"), {}, {}};
  check_given(task.given.stream, "the frame's stream");
  if (task.given.stream->tracker != tracker.data) {
    fail_argument("the frame's stream was made for another tracker");
  }
  task.image = image_view(task.given.image);
  check_time(task.given.time_s);
  if (tracker.data->is_one_stage() && (task.given.boxes || task.given.box_count)) {
    fail_argument("a one-stage model finds people by itself: it takes no boxes");
  }
  task.boxes = given_detections(task.given.boxes, task.given.box_scores, nullptr,
                                task.given.box_count, tracker.data->params());
  return task;
}

// Boxes down to the score that counts where somebody is expected, chosen into the stream's state.
void choose_boxes(const rtmpose_tracker& tracker, const FrameTask& task) {
  TrackState& state = task.given.stream->state;
  const std::optional<Detector>& detector = tracker.networks->detector;
  const bool run = task.given.detect < 0 ? tracker.data->wants_detection(state)
                                         : task.given.detect != 0;
  if (task.given.boxes) {
    tracker.data->choose_boxes(state, &task.boxes);
  } else if (run && detector) {
    const Detections found =
        detector->detect(task.image, tracker.data->lowest_score(), kAnyLabel, -1);
    tracker.data->choose_boxes(state, &found);
  } else {
    tracker.data->choose_boxes(state, nullptr);
  }
}

// The people of a frame by a one-stage model: confident ones, or expected where they are.
Poses people_in_frame(const rtmpose_tracker& tracker, const FrameTask& task) {
  TrackState& state = task.given.stream->state;
  const Poses people = tracker.networks->pose.find(task.image, tracker.data->lowest_score());
  const std::int64_t person = std::max(tracker.data->params().given.det_label, 0);
  Detections found;
  for (std::size_t i = 0; i < people.size(); ++i) {
    found.add(people.boxes[i], people.box_scores[i], person);
  }
  tracker.data->choose_boxes(state, &found);
  Rows rows;
  for (const std::int64_t label : state.pending.wanted.labels) {
    rows.push_back(static_cast<std::size_t>(label));
  }
  return people.select(rows);
}

// The poses that each frame wants; those of all frames share the calls of the network.
std::vector<Poses> poses_in_boxes(const rtmpose_tracker& tracker,
                                  const std::vector<FrameTask>& tasks) {
  std::vector<PoseTask> wanted;
  for (const FrameTask& task : tasks) {
    choose_boxes(tracker, task);
    const Detections& boxes = task.given.stream->state.pending.wanted;
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      wanted.push_back({&task.image, boxes.boxes[i], boxes.scores[i]});
    }
  }
  const Poses all = tracker.networks->pose.estimate(wanted);
  std::vector<Poses> per_frame;
  std::size_t start = 0;
  for (const FrameTask& task : tasks) {
    Rows rows(task.given.stream->state.pending.wanted.size());
    for (std::size_t& row : rows) row = start++;
    per_frame.push_back(all.select(rows));
  }
  return per_frame;
}

std::vector<std::unique_ptr<PosesResult>> track(const rtmpose_tracker& tracker,
                                                const std::vector<FrameTask>& tasks) {
  // Where everybody should be by now.
  for (const FrameTask& task : tasks) {
    tracker.data->predict(task.given.stream->state, task.image.size(), task.given.time_s);
  }
  std::vector<Poses> found;
  if (tracker.data->is_one_stage()) {
    for (const FrameTask& task : tasks) found.push_back(people_in_frame(tracker, task));
  } else {
    found = poses_in_boxes(tracker, tasks);
  }
  std::vector<std::unique_ptr<PosesResult>> results;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    TrackedPoses people = tracker.data->finish(tasks[i].given.stream->state, std::move(found[i]));
    results.push_back(std::make_unique<PosesResult>(std::move(people.poses), std::move(people.ids),
                                                    true, tracker.data->shared_skeleton()));
  }
  return results;
}

void apply_batch(const rtmpose_tracker* tracker, const rtmpose_frame* const* frames,
                 std::int32_t count, const rtmpose_poses** poses) {
  check_given(poses, "poses");
  if (count < 1 || count > kMostFrames) {
    fail_argument("the number of frames is " + std::to_string(count) + ", not in 1.." +
                  std::to_string(kMostFrames));
  }
  std::fill(poses, poses + count, nullptr);
  check_given(tracker, "tracker");
  check_given(frames, "frames");
  if (!tracker->networks) {
    fail_argument(
        "the tracker has no networks: use rtmpose_stream_begin and rtmpose_stream_finish");
  }
  std::vector<FrameTask> tasks;
  for (std::int32_t i = 0; i < count; ++i) {
    tasks.push_back(frame_task(*tracker, frames[i]));
    for (std::int32_t j = 0; j < i; ++j) {
      if (tasks[static_cast<std::size_t>(j)].given.stream == tasks.back().given.stream) {
        fail_argument("frames " + std::to_string(j) + " and " + std::to_string(i) +
                      " are of one stream");
      }
    }
  }
  std::vector<StreamLock> locks;
  for (const FrameTask& task : tasks) locks.emplace_back(task.given.stream);
  for (const FrameTask& task : tasks) {
    if (task.given.stream->state.pending.active) {
      fail_argument(
          "the stream's last frame has no poses yet: rtmpose_stream_begin needs"
          " rtmpose_stream_finish");
    }
  }
  std::vector<std::unique_ptr<PosesResult>> results;
  try {
    results = track(*tracker, tasks);
  } catch (...) {
    // The next frame starts anew.
    for (const FrameTask& task : tasks) task.given.stream->state.pending = PendingFrame();
    throw;
  }
  for (std::size_t i = 0; i < results.size(); ++i) poses[i] = results[i].release();
}

}  // namespace

rtmpose_status rtmpose_tracker_create(const rtmpose_model* detector, const rtmpose_model* pose,
                                      const rtmpose_tracker_params* params,
                                      rtmpose_tracker** tracker) {
  return guarded([&] {
    check_given(tracker, "tracker");
    *tracker = nullptr;
    check_given(pose, "pose");
    rtmpose_tracker_params given =
        read_struct(params, default_tracker_params(), "rtmpose_tracker_params");
    auto networks = std::make_shared<TrackerNetworks>(
        TrackerNetworks{std::nullopt, PoseEstimator(pose->data)});

    // One-stage models find people by themselves.
    const bool one_stage = networks->pose.is_one_stage();
    if (detector && !one_stage) networks->detector.emplace(detector->data);
    if (detector) given.whole_image = 0;
    auto data = std::make_shared<const Tracker>(
        checked_params(given), networks->pose.shared_skeleton(), one_stage);
    *tracker = new rtmpose_tracker{std::move(data), std::move(networks)};
  });
}

void rtmpose_frame_init(rtmpose_frame* frame, std::uint32_t struct_size) {
  fill_struct(frame, struct_size, default_frame());
}

rtmpose_status rtmpose_tracker_apply(const rtmpose_tracker* tracker, const rtmpose_frame* frame,
                                     const rtmpose_poses** poses) {
  return guarded([&] { apply_batch(tracker, &frame, 1, poses); });
}

rtmpose_status rtmpose_tracker_apply_batch(const rtmpose_tracker* tracker,
                                           const rtmpose_frame* const* frames,
                                           std::int32_t frame_count, const rtmpose_poses** poses) {
  return guarded([&] { apply_batch(tracker, frames, frame_count, poses); });
}
