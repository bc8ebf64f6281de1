// Keypoints of people in boxes: mmdeploy::PoseDetector over rtmpose.h.
#ifndef RTMPOSE_COMPAT_MMDEPLOY_POSE_DETECTOR_HPP_
#define RTMPOSE_COMPAT_MMDEPLOY_POSE_DETECTOR_HPP_

#include <mmdeploy/common.hpp>

struct mmdeploy_pose_detection_t {
  mmdeploy_point_t* point;  // length keypoints
  float* score;             // length
  int length;
};

namespace mmdeploy {

using PoseDetection = mmdeploy_pose_detection_t;

class PoseDetector {
 public:
  using Result = Result_<PoseDetection>;

  PoseDetector(const Model& model, const Context& context) {
    auto opened = context.open(model);
    rtmpose_pose_detector* pose = nullptr;
    detail::check(rtmpose_pose_detector_create(opened.get(), &pose));
    pose_.reset(pose, rtmpose_pose_detector_destroy);
  }
  PoseDetector(const PoseDetector&) = delete;
  PoseDetector& operator=(const PoseDetector&) = delete;

  // Without boxes the whole image is the box of one person.
  Result Apply(const Mat& image, Span<const Rect> bboxes = {}) {
    std::vector<rtmpose_box> boxes;
    for (const Rect& rect : bboxes) boxes.push_back(detail::box(rect));
    const rtmpose_poses* poses = nullptr;
    detail::check(rtmpose_pose_detector_apply(pose_.get(), &image.image(),
                                              boxes.empty() ? nullptr : boxes.data(),
                                              static_cast<int32_t>(boxes.size()), -1.0f, &poses));
    return result(poses);
  }

  // bbox_count: how many of the boxes belong to each image.
  std::vector<Result> Apply(Span<const Mat> images, Span<const Rect> bboxes,
                            Span<const int> bbox_count) {
    if (!bboxes.empty() && bbox_count.size() != images.size()) {
      throw Exception(MMDEPLOY_E_INVALID_ARG, "bbox_count needs one number for each image");
    }
    std::vector<Result> results;
    size_t start = 0;
    for (size_t i = 0; i < images.size(); ++i) {
      // Nobody is in an image without boxes, when others have some.
      if (!bboxes.empty() && bbox_count[i] == 0) {
        results.emplace_back(std::vector<PoseDetection>{}, nullptr);
        continue;
      }
      const size_t count = bboxes.empty() ? 0 : static_cast<size_t>(bbox_count[i]);
      if (start + count > bboxes.size()) {
        throw Exception(MMDEPLOY_E_INVALID_ARG, "bbox_count says more boxes than there are");
      }
      results.push_back(Apply(images[i], Span<const Rect>(bboxes.data() + start, count)));
      start += count;
    }
    return results;
  }

 private:
  static Result result(const rtmpose_poses* poses) {
    std::shared_ptr<const rtmpose_poses> owner(poses, rtmpose_poses_release);

    // The arrays of the library have the layout that the elements point to.
    static_assert(sizeof(mmdeploy_point_t) == 2 * sizeof(float));
    auto* points = reinterpret_cast<mmdeploy_point_t*>(const_cast<float*>(poses->keypoints));
    auto* scores = const_cast<float*>(poses->scores);
    std::vector<PoseDetection> items;
    for (int32_t i = 0; i < poses->count; ++i) {
      const ptrdiff_t first = static_cast<ptrdiff_t>(i) * poses->keypoint_count;
      items.push_back({points + first, scores + first, poses->keypoint_count});
    }
    return Result(std::move(items), owner);
  }

  std::shared_ptr<rtmpose_pose_detector> pose_;
};

}  // namespace mmdeploy

#endif  // RTMPOSE_COMPAT_MMDEPLOY_POSE_DETECTOR_HPP_
