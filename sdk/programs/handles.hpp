// Handles of rtmpose.h that close themselves, and errors as exceptions.
#pragma once

#include <rtmpose.h>

#include <cstdio>
#include <memory>
#include <string>

#include "arguments.hpp"

namespace programs {

inline void check(rtmpose_status status) {
  if (status != RTMPOSE_OK) throw UsageError{rtmpose_last_error()};
}

template <auto Free>
struct Closer {
  template <typename T>
  void operator()(T* handle) const {
    Free(handle);
  }
};

using Model = std::unique_ptr<rtmpose_model, Closer<rtmpose_model_close>>;
using Detector = std::unique_ptr<rtmpose_detector, Closer<rtmpose_detector_destroy>>;
using PoseDetector = std::unique_ptr<rtmpose_pose_detector, Closer<rtmpose_pose_detector_destroy>>;
using Tracker = std::unique_ptr<rtmpose_tracker, Closer<rtmpose_tracker_destroy>>;
using Stream = std::unique_ptr<rtmpose_stream, Closer<rtmpose_stream_destroy>>;
using Detections = std::unique_ptr<const rtmpose_detections, Closer<rtmpose_detections_release>>;
using Poses = std::unique_ptr<const rtmpose_poses, Closer<rtmpose_poses_release>>;

inline rtmpose_model_info info_of(const rtmpose_model* model) {
  rtmpose_model_info info{};
  info.struct_size = sizeof(info);
  check(rtmpose_model_get_info(model, &info));
  return info;
}

// Says where "auto" ended, and why.
inline Model open_model(const std::string& path, const std::string& device) {
  rtmpose_options options;
  rtmpose_options_init(&options, sizeof(options));
  options.device = device.c_str();
  rtmpose_model* model = nullptr;
  check(rtmpose_model_open(path.c_str(), &options, &model));
  Model opened(model);
  const rtmpose_model_info info = info_of(model);
  if (device == "auto") {
    const std::string note = info.device_note[0] ? std::string(": ") + info.device_note : "";
    std::fprintf(stderr, "%s runs on %s%s\n", path.c_str(), info.device, note.c_str());
  }
  return opened;
}

// Throws UsageError for a class that the detector does not have, which would find nobody.
inline void check_label(int label, const rtmpose_model* detector) {
  const rtmpose_model_info info = info_of(detector);
  if (info.classes == 0 || label < info.classes) return;
  const std::string last = std::to_string(info.classes - 1);
  throw UsageError{"--det_label is " + std::to_string(label) + ", and the detector's last class is " +
                   last + " (" + info.class_names[info.classes - 1] + ")"};
}

// Throws UsageError for a pose model that takes no boxes. path: of the model.
inline void check_takes_boxes(const rtmpose_model* pose, const std::string& path) {
  if (info_of(pose).kind != RTMPOSE_KIND_ONE_STAGE) return;
  throw UsageError{"POSE_MODEL " + path +
                   " is a one-stage model, which finds people by itself; det_pose needs a pose "
                   "network, which looks in the detector's boxes. One-stage models are run by "
                   "pose_tracker, and by the function rtmpose_find_people without a detector"};
}

}  // namespace programs
