// Image files of det_pose. OpenCV's readers bring libraries that take a quarter of the program's
// memory, so JPEG and PNG go through libjpeg and libpng; other kinds load OpenCV's when they come.
#pragma once

#include <opencv2/core.hpp>
#include <string>

namespace programs {

// The pixels (BGR, 8 bits), turned upright where the file says how. Throws UsageError.
cv::Mat read_image(const std::string& path);

// Throws UsageError where that file could not be written after all the work, or is the input.
void check_image_output(const std::string& path, const std::string& input);

// Writes the kind that the suffix names. Throws UsageError.
void write_image(const std::string& path, const cv::Mat& image);

}  // namespace programs
