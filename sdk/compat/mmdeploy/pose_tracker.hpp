// People with ids in videos: mmdeploy::PoseTracker over rtmpose.h.
#ifndef RTMPOSE_COMPAT_MMDEPLOY_POSE_TRACKER_HPP_
#define RTMPOSE_COMPAT_MMDEPLOY_POSE_TRACKER_HPP_

#include <cmath>
#include <mmdeploy/common.hpp>

struct mmdeploy_pose_tracker_param_t {
  int32_t det_interval;
  int32_t det_label;
  float det_thr;
  float det_min_bbox_size;
  float det_nms_thr;
  int32_t pose_max_num_bboxes;
  float pose_kpt_thr;
  int32_t pose_min_keypoints;
  float pose_bbox_scale;
  float pose_min_bbox_size;
  float pose_nms_thr;
  float* keypoint_sigmas;        // ignored: the model's card has them
  int32_t keypoint_sigmas_size;  // ignored
  float track_iou_thr;
  int32_t track_max_missing;
  int32_t track_history_size;
  float std_weight_position;
  float std_weight_velocity;
  float smooth_params[3];
};

struct mmdeploy_pose_tracker_target_t {
  mmdeploy_point_t* keypoints;
  int32_t keypoint_count;
  float* scores;  // keypoint_count
  mmdeploy_rect_t bbox;
  uint32_t target_id;
};

namespace mmdeploy {

class PoseTracker {
 public:
  using Result = Result_<mmdeploy_pose_tracker_target_t>;
  class State;

  // Settings, at their defaults at first.
  class Params {
   public:
    Params() {
      rtmpose_tracker_params p;
      rtmpose_tracker_params_init(&p, sizeof(p));
      p.det_thr = 0.5f;  // the published default
      values_ = {p.det_interval,        p.det_label,
                 p.det_thr,             p.det_min_bbox_size,
                 p.det_nms_thr,         p.pose_max_num_bboxes,
                 p.pose_kpt_thr,        p.pose_min_keypoints,
                 p.pose_bbox_scale,     p.pose_min_bbox_size,
                 p.pose_nms_thr,        nullptr,
                 0,                     p.track_iou_thr,
                 p.track_max_missing,   p.track_history_size,
                 p.std_weight_position, p.std_weight_velocity,
                 {p.smooth_params[0], p.smooth_params[1], p.smooth_params[2]}};
    }
    mmdeploy_pose_tracker_param_t* operator->() noexcept { return &values_; }
    const mmdeploy_pose_tracker_param_t* operator->() const noexcept { return &values_; }

    // The same for the library.
    rtmpose_tracker_params converted() const {
      rtmpose_tracker_params p;
      rtmpose_tracker_params_init(&p, sizeof(p));
      // As the original forgets, and takes whoever its detector is sure of.
      p.remember_s = 0;
      p.person_thr = 0;
      p.det_interval = values_.det_interval;
      p.det_label = values_.det_label;
      p.det_thr = values_.det_thr;
      p.det_min_bbox_size = values_.det_min_bbox_size;
      p.det_nms_thr = values_.det_nms_thr;
      p.pose_max_num_bboxes = values_.pose_max_num_bboxes;
      p.pose_kpt_thr = values_.pose_kpt_thr;
      p.pose_min_keypoints = values_.pose_min_keypoints;
      p.pose_bbox_scale = values_.pose_bbox_scale;
      p.pose_min_bbox_size = values_.pose_min_bbox_size;
      p.pose_nms_thr = values_.pose_nms_thr;
      p.track_iou_thr = values_.track_iou_thr;
      p.track_max_missing = values_.track_max_missing;
      p.track_history_size = values_.track_history_size;
      p.std_weight_position = values_.std_weight_position;
      p.std_weight_velocity = values_.std_weight_velocity;
      for (int i = 0; i < 3; ++i) p.smooth_params[i] = values_.smooth_params[i];
      return p;
    }

   private:
    mmdeploy_pose_tracker_param_t values_;
  };

  // One video: its settings, and the people in it.
  class State {
   public:
    State(State&&) noexcept = default;
    State& operator=(State&&) noexcept = default;

   private:
    friend class PoseTracker;
    State(rtmpose_model* detect, rtmpose_model* pose, const Params& params) {
      const rtmpose_tracker_params settings = params.converted();
      rtmpose_tracker* tracker = nullptr;
      detail::check(rtmpose_tracker_create(detect, pose, &settings, &tracker));
      tracker_.reset(tracker);
      rtmpose_stream* stream = nullptr;
      detail::check(rtmpose_stream_create(tracker, &stream));
      stream_.reset(stream);
    }

    template <auto Free>
    struct Closer {
      template <typename T>
      void operator()(T* handle) const {
        Free(handle);
      }
    };
    // The stream is closed before its tracker.
    std::unique_ptr<rtmpose_tracker, Closer<rtmpose_tracker_destroy>> tracker_;
    std::unique_ptr<rtmpose_stream, Closer<rtmpose_stream_destroy>> stream_;
  };

  PoseTracker(const Model& detect, const Model& pose, const Context& context)
      : detect_(context.open(detect)), pose_(context.open(pose)) {}

  State CreateState(const Params& params) { return State(detect_.get(), pose_.get(), params); }

  // detect: 1 runs the detector in this frame, 0 does not, -1 does as det_interval says.
  Result Apply(State& state, const Mat& image, int detect = -1) {
    rtmpose_frame frame;
    rtmpose_frame_init(&frame, sizeof(frame));
    frame.stream = state.stream_.get();
    frame.image = &image.image();
    frame.detect = detect;
    const rtmpose_poses* poses = nullptr;
    detail::check(rtmpose_tracker_apply(state.tracker_.get(), &frame, &poses));
    return result(poses);
  }

  // One frame each of several videos.
  std::vector<Result> Apply(const Span<State>& states, const Span<const Mat>& frames,
                            const Span<const int>& detects = {}) {
    if (states.size() != frames.size() || (!detects.empty() && detects.size() != frames.size())) {
      throw Exception(MMDEPLOY_E_INVALID_ARG, "each frame needs a state, and a detect if any");
    }
    std::vector<Result> results;
    for (size_t i = 0; i < frames.size(); ++i) {
      results.push_back(Apply(states[i], frames[i], detects.empty() ? -1 : detects[i]));
    }
    return results;
  }

 private:
  static Result result(const rtmpose_poses* poses) {
    std::shared_ptr<const rtmpose_poses> owner(poses, rtmpose_poses_release);
    auto* points = reinterpret_cast<mmdeploy_point_t*>(const_cast<float*>(poses->keypoints));
    auto* scores = const_cast<float*>(poses->scores);
    std::vector<mmdeploy_pose_tracker_target_t> items;
    for (int32_t i = 0; i < poses->count; ++i) {
      const ptrdiff_t first = static_cast<ptrdiff_t>(i) * poses->keypoint_count;
      items.push_back({points + first, poses->keypoint_count, scores + first,
                       detail::rect(poses->boxes[i]), static_cast<uint32_t>(poses->ids[i])});
    }
    return Result(std::move(items), owner);
  }

  std::shared_ptr<rtmpose_model> detect_;
  std::shared_ptr<rtmpose_model> pose_;
};

}  // namespace mmdeploy

#endif  // RTMPOSE_COMPAT_MMDEPLOY_POSE_TRACKER_HPP_
