// What image_files.cpp looks for in the library det_pose_formats.
#pragma once

#include <opencv2/core.hpp>

// False where the file could not be read or written.
extern "C" {
bool det_pose_read_image(const char* path, cv::Mat* image);
bool det_pose_can_write(const char* path);
bool det_pose_write_image(const char* path, const cv::Mat* image);
}
