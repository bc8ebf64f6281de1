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
#include <opencv2/imgproc.hpp>
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

// A path as it is, or from the folder of the list, where only there is such a file.
std::string listed_image(const std::string& line, const std::string& list) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::exists(fs::u8path(line), ignored)) return line;
  const fs::path beside = fs::u8path(list).parent_path() / fs::u8path(line);
  return fs::exists(beside, ignored) ? beside.u8string() : line;
}

std::vector<std::string> image_list(const std::string& path) {
  constexpr char kSpace[] = " \t\r";
  std::ifstream file(path);
  std::vector<std::string> images;
  std::string line;
  while (std::getline(file, line)) {
    const size_t first = line.find_first_not_of(kSpace);
    if (first == std::string::npos) continue;
    const size_t last = line.find_last_not_of(kSpace);
    images.push_back(listed_image(line.substr(first, last + 1 - first), path));
  }
  if (images.empty()) throw UsageError{"the list of images " + path + " is empty"};
  return images;
}

// A name with one place for a number, such as frame_%04d.jpg.
bool is_pattern(const std::string& name) {
  static const std::regex kOneNumber("[^%]*%0?[0-9]?d[^%]*");
  return std::regex_match(name, kOneNumber);
}

// BGR of 8 bits: numbered images come as they are stored.
void to_bgr(cv::Mat* frame) {
  if (frame->depth() == CV_16U) frame->convertTo(*frame, CV_8U, 1 / 256.0);
  if (frame->channels() == 1) cv::cvtColor(*frame, *frame, cv::COLOR_GRAY2BGR);
  if (frame->channels() == 4) cv::cvtColor(*frame, *frame, cv::COLOR_BGRA2BGR);
  if (frame->type() != CV_8UC3) throw UsageError{"the frames are not of 8 or 16 bits"};
}

// The frame within a size, black around it.
cv::Mat fitted(const cv::Mat& frame, const cv::Size& size) {
  const double scale = std::min(static_cast<double>(size.width) / frame.cols,
                                static_cast<double>(size.height) / frame.rows);
  const int width = static_cast<int>(std::lround(frame.cols * scale));
  const int height = static_cast<int>(std::lround(frame.rows * scale));
  const cv::Size inner(std::clamp(width, 1, size.width), std::clamp(height, 1, size.height));
  cv::Mat canvas = cv::Mat::zeros(size, frame.type());
  const cv::Point corner((size.width - inner.width) / 2, (size.height - inner.height) / 2);
  cv::Mat part = canvas(cv::Rect(corner, inner));
  cv::resize(frame, part, inner);
  return canvas;
}

int codec_of(const std::string& suffix) {
  if (suffix == ".avi") return cv::VideoWriter::fourcc('M', 'J', 'P', 'G');
  if (suffix == ".webm") return cv::VideoWriter::fourcc('V', 'P', '8', '0');
  return cv::VideoWriter::fourcc('m', 'p', '4', 'v');
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
  std::error_code ignored;
  const bool there = std::filesystem::exists(std::filesystem::u8path(place), ignored);
  const bool numbered = !there && !address && is_pattern(place);
  if (!address && !there && !numbered) throw UsageError{"there is no file " + place};
  if (!address && std::filesystem::is_directory(std::filesystem::u8path(place), ignored)) {
    throw UsageError{place + " is a folder; name a video, an image, or a list of images (.txt)"};
  }
  if (!address && suffix_of(place) == ".txt") {
    images_ = image_list(place);
  } else if (numbered) {
    if (!capture_.open(place, cv::CAP_IMAGES)) {
      throw UsageError{"there are no images of the names " + place};
    }
  } else if (!address && is_image(place)) {
    images_ = {place};
  } else {
    open_video(place);
    camera_ = address || place.rfind("/dev/video", 0) == 0;
  }
}

void Input::open_video(const std::string& place) {
  if (!capture_.open(place)) throw UsageError{"cannot read the video " + place};
  const double rate = capture_.get(cv::CAP_PROP_FPS);
  if (rate > 0 && rate < 1000) frame_rate_ = rate;
}

bool Input::read(cv::Mat* frame, double* time_s) {
  *time_s = std::numeric_limits<double>::quiet_NaN();
  if (!images_.empty()) {
    if (!read_image(frame)) return false;
  } else {
    if (!capture_.read(*frame) || frame->empty()) return false;
    to_bgr(frame);

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

Output::Output(std::string path, const std::string& input, int show, double frame_rate)
    : path_(std::move(path)), show_(show), frame_rate_(frame_rate) {
  // A window where there is no screen would end the program.
  if (show_ >= 0 && !has_display()) {
    std::fprintf(stderr, "no display: frames are not shown\n");
    show_ = -1;
  }
  if (path_.empty()) return;

  // One number of the frame, nothing else that printf would take.
  const std::string name = std::filesystem::u8path(path_).filename().u8string();
  numbered_ = is_pattern(name);
  if (!numbered_ && name.find('%') != std::string::npos) {
    throw UsageError{"\"" + path_ + "\" needs one place for the number, such as %04d"};
  }
  video_ = !is_image(path_);
  check_output(path_of_frame(), video_ ? "video" : "image", input);
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
  if (video_) return write_video(frame);
  if (frames_ == 1 && !numbered_) {
    std::fprintf(stderr, "%s is replaced by each frame; a name such as %%04d.jpg keeps all\n",
                 path_.c_str());
  }
  const std::string path = path_of_frame();
  if (!cv::imwrite(path, frame)) throw UsageError{"cannot write the image " + path};
}

void Output::write_video(const cv::Mat& frame) {
  if (!writer_.isOpened()) {
    video_size_ = frame.size();
    if (!writer_.open(path_, codec_of(suffix_of(path_)), frame_rate_, video_size_)) {
      throw UsageError{"cannot write the video " + path_ +
                       ": take a name that ends in .mp4, .avi, .mkv, .mov or .webm"};
    }
  }

  // All frames of a video have one size; those of another size would be left out.
  writer_.write(frame.size() == video_size_ ? frame : fitted(frame, video_size_));
}

std::string Output::path_of_frame() const {
  if (!numbered_) return path_;
  const std::filesystem::path path = std::filesystem::u8path(path_);
  const std::string name = path.filename().u8string();
  std::vector<char> text(name.size() + 16);
  std::snprintf(text.data(), text.size(), name.c_str(), frames_);
  return (path.parent_path() / std::filesystem::u8path(text.data())).u8string();
}

}  // namespace programs
