// The C++ names of the published deployment SDK over rtmpose.h: what programs that find poses use.
// Header only; link with librtmpose. Images must be 8-bit BGR, RGB, BGRA or gray.
#ifndef RTMPOSE_COMPAT_MMDEPLOY_COMMON_HPP_
#define RTMPOSE_COMPAT_MMDEPLOY_COMMON_HPP_

#include <rtmpose.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

// Images of OpenCV are taken where its headers are installed; define it as 0 to do without.
#ifndef MMDEPLOY_CXX_USE_OPENCV
#if __has_include(<opencv2/core/core.hpp>)
#define MMDEPLOY_CXX_USE_OPENCV 1
#else
#define MMDEPLOY_CXX_USE_OPENCV 0
#endif
#endif

#if MMDEPLOY_CXX_USE_OPENCV
#include <opencv2/core/core.hpp>
#endif

// ---- plain types

enum mmdeploy_status_t {
  MMDEPLOY_SUCCESS = 0,
  MMDEPLOY_E_INVALID_ARG = 1,
  MMDEPLOY_E_NOT_SUPPORTED = 2,
  MMDEPLOY_E_OUT_OF_RANGE = 3,
  MMDEPLOY_E_OUT_OF_MEMORY = 4,
  MMDEPLOY_E_FILE_NOT_EXIST = 5,
  MMDEPLOY_E_FAIL = 6
};

enum mmdeploy_pixel_format_t {
  MMDEPLOY_PIXEL_FORMAT_BGR,
  MMDEPLOY_PIXEL_FORMAT_RGB,
  MMDEPLOY_PIXEL_FORMAT_GRAYSCALE,
  MMDEPLOY_PIXEL_FORMAT_NV12,
  MMDEPLOY_PIXEL_FORMAT_NV21,
  MMDEPLOY_PIXEL_FORMAT_BGRA,
  MMDEPLOY_PIXEL_FORMAT_COUNT
};

enum mmdeploy_data_type_t {
  MMDEPLOY_DATA_TYPE_FLOAT,
  MMDEPLOY_DATA_TYPE_HALF,
  MMDEPLOY_DATA_TYPE_UINT8,
  MMDEPLOY_DATA_TYPE_INT32,
  MMDEPLOY_DATA_TYPE_COUNT
};

// Of an image only: pixels lie in the memory of the CPU.
struct mmdeploy_device;
using mmdeploy_device_t = mmdeploy_device*;

// An image as the C interface of the original has it, rows without gaps.
struct mmdeploy_mat_t {
  uint8_t* data;
  int height;
  int width;
  int channel;
  mmdeploy_pixel_format_t format;
  mmdeploy_data_type_t type;
  mmdeploy_device_t device;  // null
};

struct mmdeploy_rect_t {
  float left, top, right, bottom;
};

struct mmdeploy_point_t {
  float x, y;
};

namespace mmdeploy {

// Programs that name the original's inner namespace.
namespace cxx = ::mmdeploy;

using Rect = mmdeploy_rect_t;

// ---- errors

// What every call throws when it fails.
class Exception : public std::runtime_error {
 public:
  Exception(mmdeploy_status_t code, const std::string& text)
      : std::runtime_error(text), code_(code) {}
  mmdeploy_status_t code() const noexcept { return code_; }

 private:
  mmdeploy_status_t code_;
};

namespace detail {

inline void check(rtmpose_status status) {
  switch (status) {
    case RTMPOSE_OK:
      return;
    case RTMPOSE_ERROR_ARGUMENT:
      throw Exception(MMDEPLOY_E_INVALID_ARG, rtmpose_last_error());
    case RTMPOSE_ERROR_MEMORY:
      throw Exception(MMDEPLOY_E_OUT_OF_MEMORY, rtmpose_last_error());
    default:
      throw Exception(MMDEPLOY_E_FAIL, rtmpose_last_error());
  }
}

inline rtmpose_box box(const mmdeploy_rect_t& rect) {
  return {rect.left, rect.top, rect.right, rect.bottom};
}

inline mmdeploy_rect_t rect(const rtmpose_box& box) { return {box.x1, box.y1, box.x2, box.y2}; }

}  // namespace detail

// ---- a view of several values

template <typename T>
class Span {
 public:
  using value_type = std::remove_cv_t<T>;

  constexpr Span() noexcept = default;
  constexpr Span(T* data, size_t size) noexcept : data_(data), size_(size) {}
  constexpr Span(T& value) noexcept : data_(&value), size_(1) {}  // NOLINT: as the original
  template <size_t N>
  constexpr Span(T (&values)[N]) noexcept : data_(values), size_(N) {}  // NOLINT
  // Vectors, arrays, and other spans.
  template <typename C,
            typename = std::enable_if_t<
                std::is_convertible_v<decltype(std::data(std::declval<C&>())), T*>>>
  constexpr Span(C& values) noexcept  // NOLINT
      : data_(std::data(values)), size_(std::size(values)) {}
  template <typename C,
            typename = std::enable_if_t<
                std::is_convertible_v<decltype(std::data(std::declval<const C&>())), T*>>>
  constexpr Span(const C& values) noexcept  // NOLINT
      : data_(std::data(values)), size_(std::size(values)) {}
  // Lists in braces live as long as the call that they are given to.
  template <typename U = T, typename = std::enable_if_t<std::is_const_v<U>>>
  constexpr Span(std::initializer_list<value_type> values) noexcept  // NOLINT
      : size_(values.size()) {
    data_ = values.begin();  // compilers warn of such a list where they see it kept above
  }

  constexpr T* data() const noexcept { return data_; }
  constexpr size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T& operator[](size_t index) const noexcept { return data_[index]; }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

// ---- models, devices and what else engines are made of

// A model folder or an .onnx file. It is opened by the detector that gets it, on its device.
class Model {
 public:
  explicit Model(const char* path) : Model(std::string(path ? path : "")) {}
  explicit Model(const std::string& path) : path_(path) {
    std::error_code ignored;
    if (!std::filesystem::exists(std::filesystem::u8path(path_), ignored)) {
      throw Exception(MMDEPLOY_E_FILE_NOT_EXIST, "there is no model at \"" + path_ + "\"");
    }
  }
  // The bytes of an .onnx file with its weights; they are copied.
  Model(const void* data, size_t size) {
    if (!data) throw Exception(MMDEPLOY_E_INVALID_ARG, "the bytes of the model are null");
    const char* first = static_cast<const char*>(data);
    bytes_ = std::make_shared<const std::string>(first, size);
  }

  const std::string& path() const noexcept { return path_; }

  // Null for models that are files.
  const std::string* bytes() const noexcept { return bytes_.get(); }

 private:
  std::string path_;
  std::shared_ptr<const std::string> bytes_;
};

class Device {
 public:
  explicit Device(std::string name, int index = 0) : name_(std::move(name)), index_(index) {
    // The original's devices, and those of ONNX Runtime besides.
    for (const char* known : {"cpu", "cuda", "auto", "openvino", "tensorrt", "dml", "coreml"}) {
      if (name_ == known) return;
    }
    throw Exception(MMDEPLOY_E_NOT_SUPPORTED,
                    "unknown device \"" + name_ +
                        "\"; there are cpu, cuda, auto, openvino, tensorrt, dml and coreml");
  }
  const char* name() const noexcept { return name_.c_str(); }
  int index() const noexcept { return index_; }

 private:
  std::string name_;
  int index_;
};

// Accepted and ignored: nothing is profiled.
class Profiler {
 public:
  explicit Profiler(std::string_view) {}
};

// The threads of the CPU; the last one that a context gets counts.
class Scheduler {
 public:
  static Scheduler ThreadPool(int num_threads) { return Scheduler(num_threads); }
  static Scheduler Thread() { return Scheduler(1); }
  int threads() const noexcept { return threads_; }

 private:
  explicit Scheduler(int threads) : threads_(threads) {}
  int threads_;
};

// Where and how models run.
class Context {
 public:
  Context() = default;
  Context(const Device& device) { Add(device); }  // NOLINT: as the original

  void Add(const Device& device) {
    device_ = device.name();
    const bool numbered = device_ == "cuda" || device_ == "tensorrt" || device_ == "dml";
    if (numbered) device_ += ":" + std::to_string(device.index());
  }
  void Add(const Profiler&) {}
  void Add(const std::string&, const Scheduler& scheduler) { threads_ = scheduler.threads(); }
  void Add(const std::string&, const Model&) {}

  // The opened model; an exception tells why it is not.
  std::shared_ptr<rtmpose_model> open(const Model& model) const {
    rtmpose_options options;
    rtmpose_options_init(&options, sizeof(options));
    options.device = device_.c_str();
    options.threads = threads_;
    rtmpose_model* opened = nullptr;
    if (const std::string* bytes = model.bytes()) {
      detail::check(
          rtmpose_model_open_memory(bytes->data(), bytes->size(), nullptr, &options, &opened));
    } else {
      detail::check(rtmpose_model_open(model.path().c_str(), &options, &opened));
    }
    return {opened, rtmpose_model_close};
  }

 private:
  std::string device_ = "cpu";
  int threads_ = 0;
};

// ---- images

// Refers to pixels of somebody else.
class Mat {
 public:
  Mat() { rtmpose_image_init(&image_, sizeof(image_)); }
  Mat(int height, int width, int channels, mmdeploy_pixel_format_t format,
      mmdeploy_data_type_t type, uint8_t* data, mmdeploy_device_t device = nullptr)
      : Mat(height, width, format, type, data, int64_t{width} * channels) {
    if (channels != channels_of(format)) {
      throw Exception(MMDEPLOY_E_INVALID_ARG, "the number of channels is not that of the format");
    }
    if (device) {
      throw Exception(MMDEPLOY_E_NOT_SUPPORTED, "images must lie in the memory of the CPU");
    }
  }
  Mat(const mmdeploy_mat_t& mat)  // NOLINT: as the original
      : Mat(mat.height, mat.width, mat.channel, mat.format, mat.type, mat.data, mat.device) {}

#if MMDEPLOY_CXX_USE_OPENCV
  Mat(const cv::Mat& mat) : Mat(mat, format_of(mat.channels())) {}  // NOLINT: as the original
  Mat(const cv::Mat& mat, mmdeploy_pixel_format_t format)
      : Mat(mat.rows, mat.cols, format,
            mat.depth() == CV_8U ? MMDEPLOY_DATA_TYPE_UINT8 : MMDEPLOY_DATA_TYPE_COUNT, mat.data,
            static_cast<int64_t>(mat.step[0])) {}
#endif

  const rtmpose_image& image() const noexcept { return image_; }

 private:
  Mat(int height, int width, mmdeploy_pixel_format_t format, mmdeploy_data_type_t type,
      const uint8_t* data, int64_t stride)
      : Mat() {
    if (type != MMDEPLOY_DATA_TYPE_UINT8 || channels_of(format) == 0) {
      throw Exception(MMDEPLOY_E_NOT_SUPPORTED, "images must be 8-bit BGR, RGB, BGRA or gray");
    }
    image_.format = format == MMDEPLOY_PIXEL_FORMAT_BGR   ? RTMPOSE_BGR
                    : format == MMDEPLOY_PIXEL_FORMAT_RGB ? RTMPOSE_RGB
                    : format == MMDEPLOY_PIXEL_FORMAT_BGRA ? RTMPOSE_BGRA
                                                           : RTMPOSE_GRAY;
    image_.data = data;
    image_.width = width;
    image_.height = height;
    image_.stride = stride;
  }
  // 0 for formats that are not read.
  static int channels_of(mmdeploy_pixel_format_t format) {
    switch (format) {
      case MMDEPLOY_PIXEL_FORMAT_BGR:
      case MMDEPLOY_PIXEL_FORMAT_RGB:
        return 3;
      case MMDEPLOY_PIXEL_FORMAT_BGRA:
        return 4;
      case MMDEPLOY_PIXEL_FORMAT_GRAYSCALE:
        return 1;
      default:
        return 0;
    }
  }
  static mmdeploy_pixel_format_t format_of(int channels) {
    return channels == 3   ? MMDEPLOY_PIXEL_FORMAT_BGR
           : channels == 4 ? MMDEPLOY_PIXEL_FORMAT_BGRA
           : channels == 1 ? MMDEPLOY_PIXEL_FORMAT_GRAYSCALE
                           : MMDEPLOY_PIXEL_FORMAT_COUNT;
  }

  rtmpose_image image_;
};

// ---- results

// An array that frees what its elements point to; copies share it.
template <typename T>
class Result_ {
 public:
  using value_type = T;
  using size_type = size_t;
  using difference_type = ptrdiff_t;
  using reference = T&;
  using const_reference = const T&;
  using pointer = T*;
  using const_pointer = const T*;
  using iterator = T*;
  using const_iterator = T*;

  // owner: keeps alive what the elements point to.
  Result_(std::vector<T> items, std::shared_ptr<const void> owner)
      : data_(std::make_shared<std::vector<T>>(std::move(items))), owner_(std::move(owner)) {}

  T& operator[](size_t index) const noexcept { return (*data_)[index]; }
  size_t size() const noexcept { return data_->size(); }
  bool empty() const noexcept { return data_->empty(); }
  T* begin() const noexcept { return data_->data(); }
  T* end() const noexcept { return begin() + size(); }
  T* operator->() const noexcept { return begin(); }
  T& operator*() const noexcept { return *begin(); }

 private:
  std::shared_ptr<std::vector<T>> data_;
  std::shared_ptr<const void> owner_;
};

}  // namespace mmdeploy

#endif  // RTMPOSE_COMPAT_MMDEPLOY_COMMON_HPP_
