// Errors, images and results of rtmpose for C++17; programs include rtmpose.hpp.
#ifndef RTMPOSE_VALUES_HPP_
#define RTMPOSE_VALUES_HPP_

#if (defined(_MSVC_LANG) ? _MSVC_LANG : __cplusplus) < 201703L
#error "rtmpose.hpp needs C++17: -std=c++17, or target_compile_features(NAME PRIVATE cxx_std_17)"
#endif

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "rtmpose.h"

namespace rtmpose {

// ---- errors

// What a call failed with: its status, and the reason as text.
class Error : public std::runtime_error {
 public:
  Error(rtmpose_status kind, const std::string& text) : std::runtime_error(text), status_(kind) {}
  rtmpose_status status() const noexcept { return status_; }

 private:
  rtmpose_status status_;
};

[[noreturn]] inline void fail(rtmpose_status status, const char* text) {
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
  throw Error(status, text);
#else
  // Programs without exceptions that want to go on use the C interface.
  static_cast<void>(status);
  std::fprintf(stderr, "rtmpose: %s\n", text);
  std::abort();
#endif
}

inline void check(rtmpose_status status) {
  if (status != RTMPOSE_OK) fail(status, rtmpose_last_error());
}

inline std::string version() { return rtmpose_version(); }

// ---- views

// Values in somebody else's memory, as std::span of C++20.
template <typename T>
class Span {
 public:
  using element_type = const T;
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using pointer = const T*;
  using const_pointer = const T*;
  using reference = const T&;
  using const_reference = const T&;
  using iterator = const T*;
  using const_iterator = const T*;

  Span() = default;
  Span(const T* data, std::size_t size) : data_(data), size_(size) {}
  Span(const std::vector<T>& values) : data_(values.data()), size_(values.size()) {}

  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  const T& operator[](std::size_t index) const { return data_[index]; }
  std::vector<T> copy() const { return std::vector<T>(begin(), end()); }

 private:
  const T* data_ = nullptr;
  std::size_t size_ = 0;
};

using Box = rtmpose_box;

struct Point {
  float x;
  float y;
};

namespace detail {

// cv::Mat, and what has its members.
template <typename Mat>
using IfMatrix = decltype(std::declval<const Mat&>().depth(), std::declval<const Mat&>().channels(),
                          std::declval<const Mat&>().step[0], std::declval<const Mat&>().rows,
                          void());

}  // namespace detail

// Pixels of the caller, which must outlive the call that gets them.
class Image {
 public:
  // stride: bytes from one row to the next; 0 for rows without gaps.
  Image(const std::uint8_t* data, int width, int height, rtmpose_pixels format = RTMPOSE_BGR,
        std::int64_t stride = 0) {
    rtmpose_image_init(&image_, sizeof(image_));
    image_.data = data;
    image_.width = width;
    image_.height = height;
    image_.format = format;
    image_.stride = stride;
  }

  // A matrix of OpenCV, whole or a part: 8 bits, one channel (gray), three (BGR) or four (BGRA).
  template <typename Mat, typename = detail::IfMatrix<Mat>>
  Image(const Mat& mat)
      : Image(mat.data, mat.cols, mat.rows, format_of(mat.depth(), mat.channels()),
              static_cast<std::int64_t>(mat.step[0])) {}

  const rtmpose_image* get() const { return &image_; }

 private:
  static rtmpose_pixels format_of(int depth, int channels) {
    if (depth == 0 && channels == 1) return RTMPOSE_GRAY;
    if (depth == 0 && channels == 3) return RTMPOSE_BGR;
    if (depth == 0 && channels == 4) return RTMPOSE_BGRA;
    fail(RTMPOSE_ERROR_ARGUMENT,
         "the matrix must have 8-bit pixels of 1, 3 or 4 channels: convert it with cv::cvtColor"
         " or convertTo(CV_8U)");
  }

  rtmpose_image image_;
};

namespace detail {

// An owner of a handle or a result.
template <typename T, void (*Release)(T*)>
struct Releaser {
  void operator()(T* handle) const noexcept { Release(handle); }
};

template <typename T, void (*Release)(T*)>
using Handle = std::unique_ptr<T, Releaser<T, Release>>;

}  // namespace detail

// ---- results

// Highest score first.
class Detections {
 public:
  explicit Detections(const rtmpose_detections* raw) : data_(raw) {}

  std::size_t size() const { return static_cast<std::size_t>(data_->count); }
  bool empty() const { return size() == 0; }
  Span<Box> boxes() const& { return {data_->boxes, size()}; }
  Span<float> scores() const& { return {data_->scores, size()}; }
  Span<std::int32_t> labels() const& { return {data_->labels, size()}; }

  // Copies of a result that nobody keeps: `for (float score : detector.apply(image).scores())`.
  std::vector<Box> boxes() && { return std::as_const(*this).boxes().copy(); }
  std::vector<float> scores() && { return std::as_const(*this).scores().copy(); }
  std::vector<std::int32_t> labels() && { return std::as_const(*this).labels().copy(); }

 private:
  detail::Handle<const rtmpose_detections, rtmpose_detections_release> data_;
};

// One person of a result, valid while the result is.
class Person {
 public:
  Person(const rtmpose_poses* data, std::size_t row) : data_(data), row_(row) {}

  const Box& box() const { return data_->boxes[row_]; }
  float box_score() const { return data_->box_scores[row_]; }

  // From 1; 0 where people are not tracked.
  std::int64_t id() const { return data_->ids ? data_->ids[row_] : 0; }

  std::size_t keypoint_count() const { return static_cast<std::size_t>(data_->keypoint_count); }
  Point keypoint(std::size_t index) const {
    const float* place = data_->keypoints + 2 * (row_ * keypoint_count() + index);
    return {place[0], place[1]};
  }

  // x, y of one keypoint after the other.
  Span<float> keypoints() const {
    return {data_->keypoints + 2 * row_ * keypoint_count(), 2 * keypoint_count()};
  }
  Span<float> scores() const {
    return {data_->scores + row_ * keypoint_count(), keypoint_count()};
  }

 private:
  const rtmpose_poses* data_;
  std::size_t row_;
};

class Poses {
 public:
  explicit Poses(const rtmpose_poses* raw) : data_(raw) {}

  std::size_t size() const { return static_cast<std::size_t>(data_->count); }
  bool empty() const { return size() == 0; }
  std::size_t keypoint_count() const { return static_cast<std::size_t>(data_->keypoint_count); }
  Person operator[](std::size_t row) const { return {data_.get(), row}; }
  Span<Box> boxes() const& { return {data_->boxes, size()}; }
  std::vector<Box> boxes() && { return std::as_const(*this).boxes().copy(); }
  const rtmpose_poses* get() const { return data_.get(); }

  // Each person once, and nobody who is too doubtful; see rtmpose_poses_people.
  Poses people(float person_thr = -1) const {
    const rtmpose_poses* kept = nullptr;
    check(rtmpose_poses_people(data_.get(), person_thr, &kept));
    return Poses(kept);
  }

  class Iterator {
   public:
    using iterator_concept = std::forward_iterator_tag;
    using iterator_category = std::input_iterator_tag;  // people are values, not references
    using value_type = Person;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Person;

    Iterator() = default;
    Iterator(const rtmpose_poses* data, std::size_t row) : data_(data), row_(row) {}
    Person operator*() const { return {data_, row_}; }
    Iterator& operator++() {
      ++row_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++row_;
      return before;
    }
    bool operator==(const Iterator& other) const { return row_ == other.row_; }
    bool operator!=(const Iterator& other) const { return row_ != other.row_; }

   private:
    const rtmpose_poses* data_ = nullptr;
    std::size_t row_ = 0;
  };
  Iterator begin() const { return {data_.get(), 0}; }
  Iterator end() const { return {data_.get(), size()}; }

 private:
  detail::Handle<const rtmpose_poses, rtmpose_poses_release> data_;
};

}  // namespace rtmpose

#endif  // RTMPOSE_VALUES_HPP_
