// The C interface: the engine, models, detectors and pose detectors.
#include <cmath>

#include "api_handles.hpp"
#include "api_support.hpp"
#include "people.hpp"

using namespace rtmpose::core;

namespace {

constexpr std::int32_t kMostThreads = 1024;

rtmpose_options default_options() {
  rtmpose_options options{};
  options.struct_size = sizeof(options);
  return options;
}

EngineOptions engine_options(const rtmpose_options* given) {
  const rtmpose_options options = read_struct(given, default_options(), "rtmpose_options");
  if (options.threads < 0 || options.threads > kMostThreads) {
    fail_argument("threads is " + std::to_string(options.threads) + ", not in 0.." +
                  std::to_string(kMostThreads));
  }
  EngineOptions result;
  result.threads = options.threads;
  if (options.device) result.device = options.device;
  result.allow_spinning = options.allow_spinning != 0;
  return result;
}

// Everybody whom the networks find in an image, also twice.
Poses found_poses(const rtmpose_detector* detector, const PoseEstimator& pose,
                  const ImageView& image, const rtmpose_detect_params& params) {
  if (pose.is_one_stage()) {
    Poses people = pose.find(image, params.box_thr);
    if (params.max_people < 0) return people;
    Rows first;
    for (std::size_t row = 0; row < people.size(); ++row) {
      if (row < static_cast<std::size_t>(params.max_people)) first.push_back(row);
    }
    return people.select(first);
  }
  check_given(detector, "detector");
  const Detections boxes =
      detector->data.detect(image, params.box_thr, params.label, params.max_people);
  std::vector<PoseTask> tasks;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    tasks.push_back({&image, boxes.boxes[i], boxes.scores[i]});
  }
  return pose.estimate(tasks);
}

}  // namespace

// ---- engine

rtmpose_status rtmpose_load_engine(const char* path) {
  return guarded([&] { load_engine(path ? path : ""); });
}

const char* rtmpose_engine_version(void) { return loaded_engine_version(); }

// ---- models

void rtmpose_options_init(rtmpose_options* options, std::uint32_t struct_size) {
  fill_struct(options, struct_size, default_options());
}

rtmpose_status rtmpose_model_open(const char* path, const rtmpose_options* options,
                                  rtmpose_model** model) {
  return guarded([&] {
    check_given(model, "model");
    *model = nullptr;
    check_given(path, "path");
    *model = new rtmpose_model{open_model(path, engine_options(options))};
  });
}

rtmpose_status rtmpose_model_open_memory(const void* data, std::size_t size, const char* name,
                                         const rtmpose_options* options, rtmpose_model** model) {
  return guarded([&] {
    check_given(model, "model");
    *model = nullptr;
    check_given(data, "data");
    const std::string title = name && *name ? name : "the model in memory";
    *model = new rtmpose_model{open_model(title, ModelBytes{data, size}, engine_options(options))};
  });
}

rtmpose_status rtmpose_model_get_info(const rtmpose_model* model, rtmpose_model_info* info) {
  return guarded([&] {
    check_given(model, "model");
    give_info(*model->data, info);
  });
}

void rtmpose_model_close(rtmpose_model* model) { delete model; }

// ---- detectors

rtmpose_status rtmpose_detector_create(const rtmpose_model* model, rtmpose_detector** detector) {
  return guarded([&] {
    check_given(detector, "detector");
    *detector = nullptr;
    check_given(model, "model");
    *detector = new rtmpose_detector{Detector(model->data)};
  });
}

void rtmpose_detector_destroy(rtmpose_detector* detector) { delete detector; }

rtmpose_status rtmpose_detector_apply(const rtmpose_detector* detector, const rtmpose_image* image,
                                      const rtmpose_detect_params* params,
                                      const rtmpose_detections** detections) {
  return guarded([&] {
    check_given(detections, "detections");
    *detections = nullptr;
    check_given(detector, "detector");
    const ImageView view = image_view(image);
    const rtmpose_detect_params settings = checked_detect_params(params);
    *detections = new DetectionsResult(
        detector->data.detect(view, settings.box_thr, settings.label, settings.max_people));
  });
}

// ---- pose detectors

rtmpose_status rtmpose_pose_detector_create(const rtmpose_model* model,
                                            rtmpose_pose_detector** pose) {
  return guarded([&] {
    check_given(pose, "pose");
    *pose = nullptr;
    check_given(model, "model");
    *pose = new rtmpose_pose_detector{PoseEstimator(model->data)};
  });
}

void rtmpose_pose_detector_destroy(rtmpose_pose_detector* pose) { delete pose; }

rtmpose_status rtmpose_pose_detector_apply(const rtmpose_pose_detector* pose,
                                           const rtmpose_image* image, const rtmpose_box* boxes,
                                           std::int32_t box_count, float box_thr,
                                           const rtmpose_poses** poses) {
  return guarded([&] {
    check_given(poses, "poses");
    *poses = nullptr;
    check_given(pose, "pose");
    const PoseEstimator& estimator = pose->data;
    const ImageView view = image_view(image);
    Poses found;
    if (estimator.is_one_stage()) {
      if (boxes || box_count) {
        fail_argument("a one-stage model finds people by itself: it takes no boxes");
      }
      found = estimator.find(view, person_box_thr(box_thr));
    } else {
      found = estimator.estimate(tasks_of(view, boxes, nullptr, box_count));
    }
    *poses = new PosesResult(std::move(found), {}, false, estimator.shared_skeleton());
  });
}

rtmpose_status rtmpose_find_people(const rtmpose_detector* detector,
                                   const rtmpose_pose_detector* pose, const rtmpose_image* image,
                                   const rtmpose_detect_params* params, float person_thr,
                                   const rtmpose_poses** people) {
  return guarded([&] {
    check_given(people, "people");
    *people = nullptr;
    check_given(pose, "pose");
    const PoseEstimator& estimator = pose->data;
    const ImageView view = image_view(image);
    const rtmpose_detect_params settings = checked_detect_params(params);
    if (std::isnan(person_thr)) fail_argument("person_thr is not a number");
    const Poses found = found_poses(detector, estimator, view, settings);
    const Skeleton& skeleton = estimator.skeleton();
    const Rows rows = people_rows(found, skeleton, person_thr_for(skeleton, person_thr));
    *people = new PosesResult(found.select(rows), {}, false, estimator.shared_skeleton());
  });
}
