// One kind of image file each; image_files.hpp chooses among them.
#pragma once

#include <cstdio>
#include <memory>
#include <opencv2/core.hpp>
#include <string>

namespace programs {

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

// The most pixels of an image, as OpenCV's readers have it.
constexpr double kMostPixels = 1 << 30;

// What came of reading a file.
struct ReadResult {
  bool done = false;
  bool other_kind = false;  // a variant that is left to OpenCV, such as a JPEG in CMYK
  bool damaged = false;     // read, but a part is missing
  int orientation = 1;      // EXIF: 1 is upright
  std::string fault;        // why it could not be read
};

ReadResult read_jpeg(std::FILE* file, cv::Mat* image);
ReadResult read_png(std::FILE* file, cv::Mat* image);

// False where the file could not be written.
bool write_jpeg(std::FILE* file, const cv::Mat& image);
bool write_png(std::FILE* file, const cv::Mat& image);

// The orientation in EXIF data that starts with its byte order; 1 where there is none.
int exif_orientation(const unsigned char* data, size_t size);

}  // namespace programs
