// Detects people in an image and draws their poses.
#include <cmath>
#include <cstdio>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "arguments.hpp"
#include "drawing.hpp"
#include "handles.hpp"
#include "image_files.hpp"

namespace {

struct Settings {
  std::string det_model;
  std::string pose_model;
  std::string image;
  std::string device = "cpu";
  std::string output = "det_pose_output.jpg";
  std::string skeleton = "model";
  int det_label = 0;
  float det_thr = 0.5f;
  float det_min_bbox_size = -1;
  float pose_thr = 0;
};

bool parse(int argc, char** argv, Settings* s) {
  programs::Arguments arguments("det_pose", "Detects people in an image and draws their poses.");
  arguments.place(&s->det_model, "DET_MODEL", "detector: .onnx file or model folder");
  arguments.place(&s->pose_model, "POSE_MODEL", "pose network: .onnx file or model folder");
  arguments.place(&s->image, "IMAGE", "input image");
  arguments.option(&s->device, "device", "cpu, auto, openvino, cuda, cuda:1, tensorrt, dml or coreml");
  arguments.option(&s->output, "output", "output image; an empty text writes none");
  arguments.option(&s->skeleton, "skeleton",
                   "model, coco, coco-wholebody, coco-wholebody-hand, or a skeleton file");
  arguments.option(&s->det_label, "det_label", "class of a person");
  arguments.option(&s->det_thr, "det_thr", "lowest score of a box");
  arguments.option(&s->det_min_bbox_size, "det_min_bbox_size",
                   "smallest box: root of its area; -1 for any");
  arguments.option(&s->pose_thr, "pose_thr", "keypoints that score less are not drawn");
  if (!arguments.parse(argc, argv)) return false;
  if (s->det_thr < 0 || s->det_thr > 1) {
    throw programs::UsageError{"--det_thr is a score from 0 to 1"};
  }
  return true;
}

std::vector<rtmpose_box> find_people(const Settings& s, const rtmpose_image& image) {
  // The model is closed before the pose network is opened.
  const programs::Model model = programs::open_model(s.det_model, s.device);
  rtmpose_detector* made = nullptr;
  programs::check(rtmpose_detector_create(model.get(), &made));
  programs::check_label(s.det_label, model.get());
  const programs::Detector detector(made);

  rtmpose_detect_params params;
  rtmpose_detect_params_init(&params, sizeof(params));
  params.box_thr = s.det_thr;
  params.label = s.det_label;
  const rtmpose_detections* result = nullptr;
  programs::check(rtmpose_detector_apply(detector.get(), &image, &params, &result));
  const programs::Detections found(result);

  std::vector<rtmpose_box> boxes;
  for (int i = 0; i < found->count; ++i) {
    const rtmpose_box& box = found->boxes[i];
    const float size = std::sqrt((box.x2 - box.x1) * (box.y2 - box.y1));
    if (size >= s.det_min_bbox_size) boxes.push_back(box);
  }
  return boxes;
}

int run(const Settings& s) {
  if (!s.output.empty()) programs::check_image_output(s.output, s.image);
  cv::Mat image = programs::read_image(s.image);
  const rtmpose_image pixels = programs::as_image(image);
  const std::vector<rtmpose_box> boxes = find_people(s, pixels);

  const programs::Model model = programs::open_model(s.pose_model, s.device);
  programs::check_takes_boxes(model.get(), s.pose_model);
  const programs::Skeleton skeleton =
      programs::Skeleton::get(s.skeleton, programs::info_of(model.get()));
  rtmpose_pose_detector* made = nullptr;
  programs::check(rtmpose_pose_detector_create(model.get(), &made));
  const programs::PoseDetector pose(made);

  // A list without boxes means nobody; no list would mean the whole image.
  static const rtmpose_box kNone{};
  const rtmpose_poses* result = nullptr;
  programs::check(rtmpose_pose_detector_apply(pose.get(), &pixels,
                                              boxes.empty() ? &kNone : boxes.data(),
                                              static_cast<int32_t>(boxes.size()), -1, &result));
  const programs::Poses poses(result);

  const int k = poses->keypoint_count;
  for (int i = 0; i < poses->count; ++i) {
    programs::draw_box(image, poses->boxes[i], 1);
    programs::draw_pose(image, skeleton, poses->keypoints + 2 * i * k, poses->scores + i * k, k,
                        s.pose_thr, 1);
  }
  std::printf("%d %s\n", poses->count, poses->count == 1 ? "person" : "people");
  if (!s.output.empty()) programs::write_image(s.output, image);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
#if defined(__GLIBC__)
  // Memory of the loading of models goes back at once: a fifth less at the peak.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 65536);
  mallopt(M_TRIM_THRESHOLD, 65536);
#endif
  Settings settings;
  return programs::run_program(
      "det_pose", [&] { return parse(argc, argv, &settings); }, [&] { return run(settings); });
}
