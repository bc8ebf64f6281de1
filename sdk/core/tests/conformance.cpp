// Runs the conformance cases: what this library finds, against what the Python package recorded.
// usage: conformance CASES.json FOLDER_OF_PPM_FILES CHECKOUT [DEVICE]
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <stdexcept>

#include "conformance_compare.hpp"

namespace conformance {
namespace {

struct Runner {
  const Json& cases;
  Photos& photos;
  const rtmpose::Model& detector_model;
  const rtmpose::Model& pose_model;

  // The image of a case: the name of a recipe, or a recipe.
  Picture picture_of(const Json& image) const {
    const Json& recipe =
        image.is_string() ? cases.at("images").at(image.get<std::string>()) : image;
    return make_picture(recipe, photos);
  }
};

std::vector<rtmpose::Box> boxes_of(const Json& rows) {
  std::vector<rtmpose::Box> boxes;
  for (const Json& row : rows) boxes.push_back({row[0], row[1], row[2], row[3]});
  return boxes;
}

// Pixels of large images are repeated; distances there are larger by as much.
double scale_of(const Runner& runner, const Json& image) {
  const Json& recipe =
      image.is_string() ? runner.cases.at("images").at(image.get<std::string>()) : image;
  if (std::max(recipe.at("width").get<int>(), recipe.at("height").get<int>()) < 2000) return 1;
  int most = 1;
  for (const Json& part : recipe.at("parts")) most = std::max(most, part.value("repeat", 1));
  return most;
}

void run_image(const Runner& runner, const Json& one, Differences& differences) {
  const Picture picture = runner.picture_of(one.at("image"));
  const Pixels pixels = ordered_pixels(picture, one.value("pixels", std::string("bgr")));
  const rtmpose::Image image(pixels.bytes.data(), picture.width, picture.height, pixels.format);
  differences.start_case(one.at("name"), scale_of(runner, one.at("image")));
  if (one.at("kind") == "detect") {
    rtmpose_detect_params params;
    rtmpose_detect_params_init(&params, sizeof(params));
    params.box_thr = one.value("box_thr", params.box_thr);
    const rtmpose::Detector detector(runner.detector_model);
    differences.add_detections(detector.apply(image, &params), one.at("expected"));
    return;
  }
  const rtmpose::PoseDetector pose(runner.pose_model);
  const Json ties = one.value("ties", Json::array());
  const bool whole = !one.contains("boxes") || one.at("boxes").is_null();
  const rtmpose::Poses found =
      whole ? pose.apply(image) : pose.apply(image, boxes_of(one.at("boxes")));
  differences.add_poses(found, one.at("expected"), ties);
}

rtmpose_tracker_params params_of(const Json& names) {
  rtmpose_tracker_params p = rtmpose::tracker_params();
  const std::map<std::string, std::int32_t*> counts = {
      {"det_interval", &p.det_interval},
      {"det_label", &p.det_label},
      {"pose_max_num_bboxes", &p.pose_max_num_bboxes},
      {"pose_min_keypoints", &p.pose_min_keypoints},
      {"track_max_missing", &p.track_max_missing},
      {"track_history_size", &p.track_history_size},
      {"smooth", &p.smooth},
      {"repair_swaps", &p.repair_swaps},
      {"confirm", &p.confirm},
      {"whole_image", &p.whole_image},
  };
  const std::map<std::string, float*> numbers = {
      {"det_thr", &p.det_thr},
      {"det_min_bbox_size", &p.det_min_bbox_size},
      {"det_nms_thr", &p.det_nms_thr},
      {"pose_kpt_thr", &p.pose_kpt_thr},
      {"pose_bbox_scale", &p.pose_bbox_scale},
      {"pose_min_bbox_size", &p.pose_min_bbox_size},
      {"pose_nms_thr", &p.pose_nms_thr},
      {"track_iou_thr", &p.track_iou_thr},
      {"std_weight_position", &p.std_weight_position},
      {"std_weight_velocity", &p.std_weight_velocity},
      {"remember_s", &p.remember_s},
      {"person_thr", &p.person_thr},
  };
  for (const auto& [name, value] : names.items()) {
    if (counts.count(name)) {
      *counts.at(name) = value.is_boolean() ? value.get<bool>() : value.get<std::int32_t>();
    } else if (numbers.count(name)) {
      *numbers.at(name) = value;
    } else if (name == "smooth_params") {
      for (std::size_t i = 0; i < 3; ++i) p.smooth_params[i] = value[i];
    } else {
      throw std::runtime_error("a case has the unknown parameter " + name);
    }
  }
  return p;
}

void run_clip(const Runner& runner, const Json& one, Differences& differences) {
  const rtmpose_tracker_params params = params_of(one.value("params", Json::object()));
  const rtmpose::PoseTracker tracker =
      one.value("detects", true)
          ? rtmpose::PoseTracker(runner.detector_model, runner.pose_model, params)
          : rtmpose::PoseTracker(runner.pose_model, params);
  rtmpose::Stream stream = tracker.create_stream();
  differences.start_case(one.at("name"), 1);
  for (const Json& frame : one.at("frames")) {
    const Picture picture = runner.picture_of(frame.at("image"));
    const Pixels pixels = ordered_pixels(picture, "bgr");
    const rtmpose::Image image(pixels.bytes.data(), picture.width, picture.height);
    const bool timed = frame.contains("time_s") && !frame.at("time_s").is_null();
    const double time_s = timed ? frame.at("time_s").get<double>() : std::nan("");
    const bool given = frame.contains("boxes") && !frame.at("boxes").is_null();
    const rtmpose::Poses found =
        given ? tracker.apply(stream, image, boxes_of(frame.at("boxes")), time_s)
              : tracker.apply(stream, image, time_s);
    differences.add_poses(found, frame.at("expected"), frame.value("ties", Json::array()));
  }
}

bool run_all(const std::string& cases_path, const std::string& images, const std::string& checkout,
             const std::string& device) {
  std::ifstream file(cases_path);
  if (!file) throw std::runtime_error(cases_path + " cannot be read");
  const Json cases = Json::parse(file);
  if (cases.at("format") != 1) throw std::runtime_error("the cases are of another format");
  const auto model_path = [&](const char* role) {
    return checkout + "/" + cases.at("models").at(role).get<std::string>();
  };
  const rtmpose::Model detector(model_path("detector"), 1, device);
  const rtmpose::Model pose(model_path("pose"), 1, device);
  Photos photos(images);
  const Runner runner{cases, photos, detector, pose};
  std::map<std::string, Differences> kinds;
  for (const Json& one : cases.at("cases")) {
    const std::string kind = one.at("kind");
    Differences& differences = kinds.try_emplace(kind, kind).first->second;
    if (kind == "track") run_clip(runner, one, differences);
    else run_image(runner, one, differences);
  }
  bool met = true;
  for (const auto& [kind, differences] : kinds) met = differences.report() && met;
  return met;
}

}  // namespace
}  // namespace conformance

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::puts("usage: conformance CASES.json FOLDER_OF_PPM_FILES CHECKOUT [DEVICE]");
    return 2;
  }
  try {
    return conformance::run_all(argv[1], argv[2], argv[3], argc == 5 ? argv[4] : "cpu") ? 0 : 1;
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
