#include "image_files.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "arguments.hpp"
#include "image_formats.hpp"
#include "opencv_formats.hpp"

namespace programs {

namespace {

namespace fs = std::filesystem;

enum class Kind { kJpeg, kPng, kOther };

// By the first bytes: suffixes of images are often wrong.
Kind kind_of_content(std::FILE* file) {
  unsigned char start[4] = {};
  const size_t count = std::fread(start, 1, sizeof(start), file);
  std::rewind(file);
  if (count < sizeof(start)) return Kind::kOther;
  if (std::memcmp(start, "\xff\xd8\xff", 3) == 0) return Kind::kJpeg;
  return std::memcmp(start, "\x89PNG", 4) == 0 ? Kind::kPng : Kind::kOther;
}

Kind kind_of_name(const std::string& path) {
  std::string suffix = fs::u8path(path).extension().u8string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (suffix == ".jpg" || suffix == ".jpeg" || suffix == ".jpe") return Kind::kJpeg;
  return suffix == ".png" ? Kind::kPng : Kind::kOther;
}

File open_file(const std::string& path, const char* mode) {
  std::error_code ignored;
  if (fs::is_directory(fs::u8path(path), ignored)) {
    throw UsageError{path + " is a folder; the file of an image is needed"};
  }
  File file(std::fopen(path.c_str(), mode));
  if (!file) {
    const std::string verb = mode[0] == 'r' ? "read" : "write";
    throw UsageError{"cannot " + verb + " the image " + path + ": " + std::strerror(errno)};
  }
  return file;
}

// A function of the library with OpenCV's readers, which stays loaded.
template <typename Function>
Function* other_formats(const char* name, const std::string& path) {
  static void* library = dlopen("libdet_pose_formats.so", RTLD_NOW | RTLD_LOCAL);
  void* function = library ? dlsym(library, name) : nullptr;
  if (!function) {
    throw UsageError{path + " is neither JPEG nor PNG; libdet_pose_formats.so, which knows other"
                     " kinds of images, is not next to the program"};
  }
  return reinterpret_cast<Function*>(function);
}

cv::Mat read_other(const std::string& path) {
  cv::Mat image;
  if (!other_formats<decltype(det_pose_read_image)>("det_pose_read_image", path)(path.c_str(),
                                                                                 &image)) {
    throw UsageError{"cannot read the image " + path +
                     ": it is damaged, no image, or of a kind that is not read"};
  }
  return image;
}

// Turned as the EXIF orientation says: 5 to 8 lie on their side.
void turn_upright(int orientation, cv::Mat* image) {
  constexpr int kUpsideDown = 0;
  constexpr int kMirror = 1;
  constexpr int kBoth = -1;
  if (orientation >= 5) cv::transpose(*image, *image);
  switch (orientation) {
    case 2: case 6: return cv::flip(*image, *image, kMirror);
    case 3: case 7: return cv::flip(*image, *image, kBoth);
    case 4: case 8: return cv::flip(*image, *image, kUpsideDown);
    default: return;
  }
}

}  // namespace

cv::Mat read_image(const std::string& path) {
  const File file = open_file(path, "rb");
  const Kind kind = kind_of_content(file.get());
  if (kind == Kind::kOther) return read_other(path);
  cv::Mat image;
  const ReadResult result =
      kind == Kind::kJpeg ? read_jpeg(file.get(), &image) : read_png(file.get(), &image);
  if (result.other_kind) return read_other(path);
  if (!result.done) throw UsageError{"cannot read the image " + path + ": " + result.fault};
  if (result.damaged) std::fprintf(stderr, "the image %s is damaged\n", path.c_str());
  turn_upright(result.orientation, &image);
  return image;
}

void check_image_output(const std::string& path, const std::string& input) {
  check_output(path, "image", input);
  if (kind_of_name(path) != Kind::kOther) return;
  const auto can_write = other_formats<decltype(det_pose_can_write)>("det_pose_can_write", path);
  if (!can_write(path.c_str())) {
    throw UsageError{"cannot write the image " + path + "; is its ending one of images?"};
  }
}

void write_image(const std::string& path, const cv::Mat& image) {
  const Kind kind = kind_of_name(path);
  bool written = false;
  if (kind == Kind::kOther) {
    const auto write = other_formats<decltype(det_pose_write_image)>("det_pose_write_image", path);
    written = write(path.c_str(), &image);
  } else {
    File file = open_file(path, "wb");
    written = kind == Kind::kJpeg ? write_jpeg(file.get(), image) : write_png(file.get(), image);

    // A full disk shows when the rest goes out.
    written = std::fclose(file.release()) == 0 && written;
  }
  if (!written) throw UsageError{"cannot write the image " + path};
}

}  // namespace programs
