// The kinds of image files that OpenCV knows, as a library that is loaded when one comes.
#include "opencv_formats.hpp"

#include <opencv2/imgcodecs.hpp>

bool det_pose_read_image(const char* path, cv::Mat* image) {
  *image = cv::imread(path);
  return !image->empty();
}

bool det_pose_can_write(const char* path) { return cv::haveImageWriter(path); }

bool det_pose_write_image(const char* path, const cv::Mat* image) {
  return cv::imwrite(path, *image);
}
