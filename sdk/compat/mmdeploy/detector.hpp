// Boxes in images: mmdeploy::Detector over rtmpose.h.
#ifndef RTMPOSE_COMPAT_MMDEPLOY_DETECTOR_HPP_
#define RTMPOSE_COMPAT_MMDEPLOY_DETECTOR_HPP_

#include <mmdeploy/common.hpp>

struct mmdeploy_instance_mask_t {
  char* data;
  int height;
  int width;
};

struct mmdeploy_detection_t {
  int label_id;
  float score;
  mmdeploy_rect_t bbox;
  mmdeploy_instance_mask_t* mask;  // always null: detectors of people have none
};

namespace mmdeploy {

using Detection = mmdeploy_detection_t;

class Detector {
 public:
  using Result = Result_<Detection>;

  // Boxes that score less are not returned; programs filter by thresholds of their own.
  static constexpr float kLowestScore = 0.05f;

  Detector(const Model& model, const Context& context) {
    auto opened = context.open(model);
    rtmpose_detector* detector = nullptr;
    detail::check(rtmpose_detector_create(opened.get(), &detector));
    detector_.reset(detector, rtmpose_detector_destroy);
  }
  Detector(const Detector&) = delete;
  Detector& operator=(const Detector&) = delete;

  // All classes, highest score first.
  Result Apply(const Mat& image) {
    rtmpose_detect_params params;
    rtmpose_detect_params_init(&params, sizeof(params));
    params.box_thr = kLowestScore;
    params.label = -1;
    const rtmpose_detections* found = nullptr;
    detail::check(rtmpose_detector_apply(detector_.get(), &image.image(), &params, &found));
    std::shared_ptr<const rtmpose_detections> owner(found, rtmpose_detections_release);

    std::vector<Detection> items(static_cast<size_t>(found->count));
    for (size_t i = 0; i < items.size(); ++i) {
      items[i] = {found->labels[i], found->scores[i], detail::rect(found->boxes[i]), nullptr};
    }
    return Result(std::move(items), nullptr);
  }

  std::vector<Result> Apply(Span<const Mat> images) {
    std::vector<Result> results;
    for (const Mat& image : images) results.push_back(Apply(image));
    return results;
  }

 private:
  std::shared_ptr<rtmpose_detector> detector_;
};

}  // namespace mmdeploy

#endif  // RTMPOSE_COMPAT_MMDEPLOY_DETECTOR_HPP_
