// Boxes and skeletons on images.
#pragma once

#include <rtmpose.h>

#include <opencv2/core.hpp>
#include <string>
#include <utility>
#include <vector>

namespace programs {

// Which keypoints are drawn connected, and in which colors (BGR).
struct Skeleton {
  std::vector<std::pair<int, int>> links;
  std::vector<cv::Scalar> link_colors;   // of each link
  std::vector<cv::Scalar> point_colors;  // of each keypoint

  // choice: "model" takes the links of the model's card; "coco", "coco-wholebody" and
  // "coco-wholebody-hand" too, as long as the model has at least the 17, 133 or 21 keypoints; or the
  // path of a skeleton file: counts and values of links, colors, the links' and the points' colors.
  // Throws UsageError.
  static Skeleton get(const std::string& choice, const rtmpose_model_info& model);
};

// The pixels of an OpenCV image for a call of the library.
rtmpose_image as_image(const cv::Mat& image);

void draw_box(cv::Mat& image, const rtmpose_box& box, float scale);

// One person; keypoints that score less than threshold are left out. scale: from the coordinates to
// the pixels of the image.
void draw_pose(cv::Mat& image, const Skeleton& skeleton, const float* keypoints,
               const float* scores, int count, float threshold, float scale);

}  // namespace programs
