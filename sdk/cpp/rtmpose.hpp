// rtmpose for C++17: the C interface with owners, spans and exceptions. Only rtmpose is linked.
//
//   rtmpose::Model detector_model("rtmdet.onnx"), pose_model("rtmpose.onnx");
//   rtmpose::Detector detector(detector_model);
//   rtmpose::PoseDetector pose(pose_model);
//   const rtmpose::Image image(pixels, width, height);
//   const rtmpose::Poses people = rtmpose::find_people(detector, pose, image);
//   for (const rtmpose::Person person : people) { ... person.keypoints() ... }
//
// Owners can be moved, not copied. Threads: as in rtmpose.h.
#ifndef RTMPOSE_HPP_
#define RTMPOSE_HPP_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "rtmpose.h"
#include "rtmpose_values.hpp"

namespace rtmpose {

// ---- models

class Model {
 public:
  explicit Model(const std::string& path, const rtmpose_options* options = nullptr) {
    rtmpose_model* raw = nullptr;
    check(rtmpose_model_open(path.c_str(), options, &raw));
    handle_.reset(raw);
  }

  // On a device, such as "cuda:1"; threads: of the CPU, 0 for one per physical core.
  Model(const std::string& path, const std::string& device, int threads = 0)
      : Model(path, threads, device) {}

  Model(const std::string& path, int threads, const std::string& device = "cpu") {
    rtmpose_options options;
    rtmpose_options_init(&options, sizeof(options));
    options.threads = threads;
    options.device = device.c_str();
    rtmpose_model* raw = nullptr;
    check(rtmpose_model_open(path.c_str(), &options, &raw));
    handle_.reset(raw);
  }

  // From the bytes of an .onnx file, which may be freed afterwards; see rtmpose_model_open_memory.
  static Model from_memory(Span<std::uint8_t> bytes, const rtmpose_options* options = nullptr,
                           const std::string& name = std::string()) {
    rtmpose_model* raw = nullptr;
    check(rtmpose_model_open_memory(bytes.data(), bytes.size(), name.c_str(), options, &raw));
    return Model(raw);
  }

  // Texts and arrays are valid while the model is.
  rtmpose_model_info info() const {
    rtmpose_model_info info{};
    info.struct_size = sizeof(info);
    check(rtmpose_model_get_info(handle_.get(), &info));
    return info;
  }

  const rtmpose_model* get() const { return handle_.get(); }

 private:
  explicit Model(rtmpose_model* raw) : handle_(raw) {}

  detail::Handle<rtmpose_model, rtmpose_model_close> handle_;
};

// ---- detector and pose detector

inline rtmpose_detect_params detect_params() {
  rtmpose_detect_params params;
  rtmpose_detect_params_init(&params, sizeof(params));
  return params;
}

class Detector {
 public:
  explicit Detector(const Model& model) {
    rtmpose_detector* raw = nullptr;
    check(rtmpose_detector_create(model.get(), &raw));
    handle_.reset(raw);
  }

  Detections apply(const Image& image, const rtmpose_detect_params* params = nullptr) const {
    const rtmpose_detections* found = nullptr;
    check(rtmpose_detector_apply(handle_.get(), image.get(), params, &found));
    return Detections(found);
  }

  const rtmpose_detector* get() const { return handle_.get(); }

 private:
  detail::Handle<rtmpose_detector, rtmpose_detector_destroy> handle_;
};

class PoseDetector {
 public:
  explicit PoseDetector(const Model& model) {
    rtmpose_pose_detector* raw = nullptr;
    check(rtmpose_pose_detector_create(model.get(), &raw));
    handle_.reset(raw);
  }

  // The whole image is the box of one person; of one-stage models: everybody in the image.
  Poses apply(const Image& image, float box_thr = -1) const {
    return run(image, nullptr, 0, box_thr);
  }

  // The pose in each box, in their order; nobody where there are none.
  Poses apply(const Image& image, Span<Box> boxes) const {
    static const Box nowhere{};
    return run(image, boxes.empty() ? &nowhere : boxes.data(), boxes.size(), -1);
  }

  // The same for a list in braces: `apply(image, {{10, 20, 110, 220}})`; `{}` is nobody.
  Poses apply(const Image& image, std::initializer_list<Box> boxes) const {
    return apply(image, Span<Box>(boxes.begin(), boxes.size()));
  }

  const rtmpose_pose_detector* get() const { return handle_.get(); }

 private:
  Poses run(const Image& image, const Box* boxes, std::size_t count, float box_thr) const {
    const rtmpose_poses* found = nullptr;
    check(rtmpose_pose_detector_apply(handle_.get(), image.get(), boxes,
                                      static_cast<std::int32_t>(count), box_thr, &found));
    return Poses(found);
  }

  detail::Handle<rtmpose_pose_detector, rtmpose_pose_detector_destroy> handle_;
};

// The people of an image, each once: boxes, the poses in them, and nobody who is too doubtful.
inline Poses find_people(const Detector& detector, const PoseDetector& pose, const Image& image,
                         const rtmpose_detect_params* params = nullptr, float person_thr = -1) {
  const rtmpose_poses* found = nullptr;
  check(rtmpose_find_people(detector.get(), pose.get(), image.get(), params, person_thr, &found));
  return Poses(found);
}

// ---- pose tracker

inline rtmpose_tracker_params tracker_params() {
  rtmpose_tracker_params params;
  rtmpose_tracker_params_init(&params, sizeof(params));
  return params;
}

// The memory for one video or camera.
class Stream {
 public:
  explicit Stream(rtmpose_stream* raw) : handle_(raw) {}

  // Forgets the people; ids go on.
  void reset() { check(rtmpose_stream_reset(handle_.get())); }
  rtmpose_stream* get() const { return handle_.get(); }

 private:
  detail::Handle<rtmpose_stream, rtmpose_stream_destroy> handle_;
};

class PoseTracker {
 public:
  PoseTracker(const Model& detector, const Model& pose,
              const rtmpose_tracker_params& params = tracker_params())
      : PoseTracker(detector.get(), pose.get(), params) {}

  // Without a detector: for one-stage models, and where boxes come with the frames.
  explicit PoseTracker(const Model& pose, const rtmpose_tracker_params& params = tracker_params())
      : PoseTracker(nullptr, pose.get(), params) {}

  Stream create_stream() const {
    rtmpose_stream* raw = nullptr;
    check(rtmpose_stream_create(handle_.get(), &raw));
    return Stream(raw);
  }

  // The people in the stream's next frame. time_s: seconds; NaN: 30 frames a second.
  Poses apply(Stream& stream, const Image& image, double time_s = std::nan("")) const {
    return apply(frame_of(stream, image, time_s));
  }

  // The same with boxes that were detected elsewhere.
  Poses apply(Stream& stream, const Image& image, Span<Box> boxes,
              double time_s = std::nan("")) const {
    static const Box nowhere{};
    rtmpose_frame frame = frame_of(stream, image, time_s);
    frame.boxes = boxes.empty() ? &nowhere : boxes.data();
    frame.box_count = static_cast<std::int32_t>(boxes.size());
    return apply(frame);
  }

  // The same for a list in braces; `{}` is nobody.
  Poses apply(Stream& stream, const Image& image, std::initializer_list<Box> boxes,
              double time_s = std::nan("")) const {
    return apply(stream, image, Span<Box>(boxes.begin(), boxes.size()), time_s);
  }

  // A frame with all that rtmpose.h has for it, such as `detect` and the scores of boxes; frame_of
  // fills what is always needed. Stream, image and boxes must outlive the call that gets it.
  Poses apply(const rtmpose_frame& frame) const {
    const rtmpose_poses* found = nullptr;
    check(rtmpose_tracker_apply(handle_.get(), &frame, &found));
    return Poses(found);
  }

  // One frame each of several streams; their people share the calls of the pose network.
  std::vector<Poses> apply(const std::vector<rtmpose_frame>& frames) const {
    std::vector<Poses> people;
    if (frames.empty()) return people;
    std::vector<const rtmpose_frame*> pointers;
    for (const rtmpose_frame& frame : frames) pointers.push_back(&frame);
    std::vector<const rtmpose_poses*> found(frames.size(), nullptr);
    people.reserve(frames.size());
    check(rtmpose_tracker_apply_batch(handle_.get(), pointers.data(),
                                      static_cast<std::int32_t>(frames.size()), found.data()));
    for (const rtmpose_poses* one : found) people.emplace_back(one);
    return people;
  }

  static rtmpose_frame frame_of(Stream& stream, const Image& image,
                                double time_s = std::nan("")) {
    rtmpose_frame frame;
    rtmpose_frame_init(&frame, sizeof(frame));
    frame.stream = stream.get();
    frame.image = image.get();
    frame.time_s = time_s;
    return frame;
  }

  const rtmpose_tracker* get() const { return handle_.get(); }

 private:
  PoseTracker(const rtmpose_model* detector, const rtmpose_model* pose,
              const rtmpose_tracker_params& params) {
    rtmpose_tracker* raw = nullptr;
    check(rtmpose_tracker_create(detector, pose, &params, &raw));
    handle_.reset(raw);
  }

  detail::Handle<rtmpose_tracker, rtmpose_tracker_destroy> handle_;
};

}  // namespace rtmpose

#endif  // RTMPOSE_HPP_
