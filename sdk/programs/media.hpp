// Frames from images, videos and cameras, and where the drawn ones go.
#pragma once

#include <chrono>
#include <opencv2/videoio.hpp>
#include <string>
#include <vector>

namespace programs {

// An image, a text file with the paths of images, numbered images ("%04d.jpg"), a video, an
// address, or a camera by its number or device file.
class Input {
 public:
  // flip: mirror the frames. Throws UsageError where it cannot be opened.
  Input(const std::string& place, bool flip);

  // The next frame and its moment in seconds (NaN where there is none); false at the end.
  bool read(cv::Mat* frame, double* time_s);

  double frame_rate() const { return frame_rate_; }

 private:
  bool read_image(cv::Mat* frame);
  void open_video(const std::string& place);

  std::vector<std::string> images_;
  size_t next_image_ = 0;
  cv::VideoCapture capture_;
  bool camera_ = false;
  bool flip_ = false;
  double frame_rate_ = 30;
  double last_time_s_ = -1;
  std::chrono::steady_clock::time_point opened_ = std::chrono::steady_clock::now();
};

// A window, and an image, numbered images ("%04d.jpg") or a video; both may be off.
class Output {
 public:
  // input: what is read, which is not overwritten. show: milliseconds for which each frame is
  // shown; 0 waits for a key, -1 opens no window.
  Output(std::string path, const std::string& input, int show, double frame_rate);

  // False where the user wants to leave (Esc or q). Throws UsageError where it cannot be written.
  bool write(const cv::Mat& frame);

 private:
  void write_file(const cv::Mat& frame);
  void write_video(const cv::Mat& frame);
  std::string path_of_frame() const;

  std::string path_;
  bool numbered_ = false;
  bool video_ = false;
  int show_;
  double frame_rate_;
  int frames_ = 0;
  cv::VideoWriter writer_;
  cv::Size video_size_;
};

}  // namespace programs
