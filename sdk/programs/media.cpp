#include "media.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <opencv2/core.hpp>
#include <opencv2/highgui.hpp>
#include <opencv2/imgcodecs.hpp>
#include <regex>

#include "arguments.hpp"

namespace programs {

namespace {

std::string suffix_of(const std::string& path) {
  std::string suffix = std::filesystem::u8path(path).extension().u8string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return suffix;
}

bool is_image(const std::string& path) {
  static const std::vector<std::string> kSuffixes = {".jpg", ".jpeg", ".png",  ".bmp", ".tif",
                                                     ".tiff", ".ppm", ".pgm", ".webp"};
  return std::find(kSuffixes.begin(), kSuffixes.end(), suffix_of(path)) != kSuffixes.end();
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 5 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

std::vector<std::string> image_list(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> images;
  std::string line;
  while (std::getline(file, line)) {
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) {
      line.pop_back();
    }
    if (!line.empty()) images.push_back(line);
  }
  if (images.empty()) throw UsageError{"the list of images " + path + " is empty"};
  return images;
}

bool has_display() {
#if defined(__linux__)
  return std::getenv("DISPLAY") != nullptr || std::getenv("WAYLAND_DISPLAY") != nullptr;
#else
  return true;
#endif
}

}  // namespace

Input::Input(const std::string& place, bool flip) : flip_(flip) {
  if (is_number(place)) {
    camera_ = true;
    if (!capture_.open(std::stoi(place))) throw UsageError{"cannot open the camera " + place};
    return;
  }
  const bool address = place.find("://") != std::string::npos;
  if (!address && !std::filesystem::exists(std::filesystem::u8path(place))) {
    throw UsageError{"there is no file " + place};
  }
  std::error_code ignored;
  if (!address && std::filesystem::is_directory(std::filesystem::u8path(place), ignored)) {
    throw UsageError{place + " is a folder; name a video, an image, or a list of images (.txt)"};
  }
  if (!address && suffix_of(place) == ".txt") {
    images_ = image_list(place);
  } else if (!address && is_image(place)) {
    images_ = {place};
  } else {
    if (!capture_.open(place)) throw UsageError{"cannot read the video " + place};
    const double rate = capture_.get(cv::CAP_PROP_FPS);
    if (rate > 0 && rate < 1000) frame_rate_ = rate;
    camera_ = address;
  }
}

bool Input::read(cv::Mat* frame, double* time_s) {
  *time_s = std::numeric_limits<double>::quiet_NaN();
  if (!images_.empty()) {
    if (!read_image(frame)) return false;
  } else {
    if (!capture_.read(*frame) || frame->empty()) return false;

    // Cameras by the clock; videos by their own times, as long as these go on.
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - opened_;
    double now = camera_ ? since.count() : capture_.get(cv::CAP_PROP_POS_MSEC) / 1000;
    if (!(now > last_time_s_)) now = last_time_s_ + 1 / frame_rate_;
    last_time_s_ = now;
    *time_s = now;
  }
  if (flip_) cv::flip(*frame, *frame, 1);
  return true;
}

bool Input::read_image(cv::Mat* frame) {
  while (next_image_ < images_.size()) {
    const std::string& path = images_[next_image_++];
    *frame = cv::imread(path);
    if (!frame->empty()) return true;
    if (images_.size() == 1) throw UsageError{"cannot read the image " + path};
    std::fprintf(stderr, "cannot read the image %s; left out\n", path.c_str());
  }
  return false;
}

Output::Output(std::string path, int show, double frame_rate)
    : path_(std::move(path)), show_(show), frame_rate_(frame_rate) {
  // A window where there is no screen would end the program.
  if (show_ >= 0 && !has_display()) {
    std::fprintf(stderr, "no display: frames are not shown\n");
    show_ = -1;
  }
  if (path_.empty()) return;
  // One number of the frame, nothing else that printf would take.
  if (path_.find('%') != std::string::npos) {
    static const std::regex kOneNumber("[^%]*%0?[0-9]?d[^%]*");
    if (!std::regex_match(path_, kOneNumber)) {
      throw UsageError{"\"" + path_ + "\" needs one place for the number, such as %04d"};
    }
    numbered_ = true;
  }
  video_ = !is_image(path_);
  check_output(path_, video_ ? "video" : "image");
}

bool Output::write(const cv::Mat& frame) {
  if (!path_.empty()) write_file(frame);
  ++frames_;
  if (show_ < 0) return true;
  cv::imshow("rtmpose", frame);
  const int key = cv::waitKey(show_);
  return key != 27 && key != 'q';
}

void Output::write_file(const cv::Mat& frame) {
  if (video_) {
    if (!writer_.isOpened()) {
      const bool avi = suffix_of(path_) == ".avi";
      const int codec = avi ? cv::VideoWriter::fourcc('M', 'J', 'P', 'G')
                            : cv::VideoWriter::fourcc('m', 'p', '4', 'v');
      if (!writer_.open(path_, codec, frame_rate_, frame.size())) {
        throw UsageError{"cannot write the video " + path_};
      }
    }
    writer_.write(frame);
    return;
  }

  std::string path = path_;
  if (numbered_) {
    std::vector<char> text(path_.size() + 16);
    std::snprintf(text.data(), text.size(), path_.c_str(), frames_);
    path = text.data();
  }
  if (!cv::imwrite(path, frame)) throw UsageError{"cannot write the image " + path};
}

}  // namespace programs
