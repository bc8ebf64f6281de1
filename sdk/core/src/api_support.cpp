#include "api_support.hpp"

#include <cmath>
#include <cstdio>

#include "array.hpp"
#include "boxes.hpp"
#include "detector_stages.hpp"

namespace rtmpose::core {
namespace {

// Without allocation: an error can always be told.
constexpr std::size_t kLongestError = 2048;
thread_local char g_error[kLongestError] = "";

constexpr std::int32_t kLargestImageSide = 100000;
constexpr float kBoxThr = 0.3f;

// Bytes per pixel, and where blue, green and red are.
void set_format(std::int32_t format, ImageView& view) {
  const auto set = [&view](int step, int blue, int green, int red) {
    view.step = step;
    view.channels[0] = blue;
    view.channels[1] = green;
    view.channels[2] = red;
  };
  switch (format) {
    case RTMPOSE_BGR: return set(3, 0, 1, 2);
    case RTMPOSE_RGB: return set(3, 2, 1, 0);
    case RTMPOSE_BGRA: return set(4, 0, 1, 2);
    case RTMPOSE_RGBA: return set(4, 2, 1, 0);
    case RTMPOSE_GRAY: return set(1, 0, 0, 0);
    default: fail_argument("the image has the unknown pixel format " + std::to_string(format));
  }
}

}  // namespace

void set_last_error(const char* text) noexcept {
  const int length = std::snprintf(g_error, sizeof(g_error), "%s", text);
  if (length < static_cast<int>(kLongestError)) return;

  // The last character may be cut in two, which is no UTF-8: it goes.
  std::size_t end = kLongestError - 1;
  const auto byte = [](std::size_t at) { return static_cast<unsigned char>(g_error[at]); };
  while (end > 0 && byte(end - 1) >= 0x80 && byte(end - 1) < 0xC0) --end;
  if (end > 0 && byte(end - 1) >= 0xC0) --end;
  g_error[end] = '\0';
}

const char* last_error() noexcept { return g_error; }

void check_given(const void* pointer, const char* name) {
  if (!pointer) fail_argument(std::string(name) + " is NULL");
}

rtmpose_image default_image() noexcept {
  rtmpose_image image{};
  image.struct_size = sizeof(image);
  return image;
}

ImageView image_view(const rtmpose_image* given) {
  check_given(given, "the image");
  const rtmpose_image image = read_struct(given, default_image(), "rtmpose_image");
  if (image.width < 1 || image.height < 1) {
    fail_argument("the image is empty: it has " + std::to_string(image.width) + "x" +
                  std::to_string(image.height) + " pixels");
  }
  if (image.width > kLargestImageSide || image.height > kLargestImageSide) {
    fail_argument("the image is too large: it has " + std::to_string(image.width) + "x" +
                  std::to_string(image.height) + " pixels");
  }
  check_given(image.data, "the image's data");
  ImageView view;
  view.data = image.data;
  view.width = image.width;
  view.height = image.height;
  set_format(image.format, view);
  const std::int64_t row = static_cast<std::int64_t>(image.width) * view.step;
  const std::int64_t stride = image.stride == 0 ? row : image.stride;
  if (stride < row) {
    fail_argument("the image's stride is " + std::to_string(stride) + ", but a row has " +
                  std::to_string(row) + " bytes");
  }
  view.stride = static_cast<std::ptrdiff_t>(stride);
  return view;
}

void check_boxes(const rtmpose_box* boxes, std::int32_t count) {
  if (count < 0) fail_argument("the number of boxes is " + std::to_string(count));
  if (count > 0) check_given(boxes, "boxes");
  for (std::int32_t i = 0; i < count; ++i) {
    const Box& box = boxes[i];
    if (!is_near(box) || !has_extent(box)) {
      fail_argument("box " + std::to_string(i) + " is (" + number_text(box.x1) + ", " +
                    number_text(box.y1) + ", " + number_text(box.x2) + ", " +
                    number_text(box.y2) +
                    "); boxes are x1, y1, x2, y2 (corners, in pixels) with x1 < x2 and y1 < y2, not"
                    " x, y, width, height");
    }
  }
}

void check_fraction(float value, const char* name) {
  if (!(value >= 0 && value <= 1)) {
    fail_argument(std::string(name) + " is " + number_text(value) + ", not a number in 0..1");
  }
}

void give_info(const ModelDescription& model, rtmpose_model_info* info) {
  check_given(info, "info");
  if (!is_struct_size(info->struct_size)) {
    fail_argument("rtmpose_model_info has no struct_size: set it first");
  }
  fill_struct(info, info->struct_size, info_of(model));
}

rtmpose_detect_params default_detect_params() noexcept {
  rtmpose_detect_params params{};
  params.struct_size = sizeof(params);
  params.box_thr = kBoxThr;
  params.label = kPeopleLabel;
  params.max_people = -1;
  return params;
}

rtmpose_detect_params checked_detect_params(const rtmpose_detect_params* given) {
  const rtmpose_detect_params params =
      read_struct(given, default_detect_params(), "rtmpose_detect_params");
  check_fraction(params.box_thr, "box_thr");
  if (params.label < kPeopleLabel) {
    fail_argument("label is " + std::to_string(params.label) +
                  "; a class, -1 for all or -2 for people is needed");
  }
  return params;
}

float person_box_thr(float given) {
  const float thr = given < 0 ? kBoxThr : given;
  check_fraction(thr, "box_thr");
  return thr;
}

std::vector<PoseTask> tasks_of(const ImageView& image, const rtmpose_box* boxes,
                               const float* scores, std::int32_t count) {
  check_boxes(boxes, count);
  std::vector<PoseTask> tasks;
  if (!boxes) {
    const Box whole{0, 0, static_cast<float>(image.width), static_cast<float>(image.height)};
    tasks.push_back({&image, whole, 1});
  }
  for (std::int32_t i = 0; i < count; ++i) {
    const float score = scores ? scores[i] : 1.0f;
    if (!std::isfinite(score)) {
      fail_argument("the score of box " + std::to_string(i) + " is not a number");
    }
    tasks.push_back({&image, boxes[i], score});
  }
  return tasks;
}

namespace {

// With an address also where it is empty: boxes that are NULL would stand for the whole image, ids
// for people who are not tracked.
template <typename T>
std::vector<T> addressed(std::vector<T> values) {
  if (values.empty()) values.reserve(1);
  return values;
}

Detections addressed(Detections found) {
  found.boxes = addressed(std::move(found.boxes));
  found.scores = addressed(std::move(found.scores));
  return found;
}

Poses addressed(Poses people) {
  people.boxes = addressed(std::move(people.boxes));
  people.box_scores = addressed(std::move(people.box_scores));
  people.points = addressed(std::move(people.points));
  people.scores = addressed(std::move(people.scores));
  return people;
}

}  // namespace

DetectionsResult::DetectionsResult(Detections found)
    : rtmpose_detections{},
      data(addressed(std::move(found))),
      class_numbers(addressed(std::vector<std::int32_t>(data.labels.begin(), data.labels.end()))) {
  count = static_cast<std::int32_t>(data.size());
  boxes = data.boxes.data();
  scores = data.scores.data();
  labels = class_numbers.data();
}

PosesResult::PosesResult(Poses people, std::vector<std::int64_t> numbers, bool tracked,
                         std::shared_ptr<const Skeleton> set)
    : rtmpose_poses{},
      data(addressed(std::move(people))),
      id_numbers(addressed(std::move(numbers))),
      skeleton(std::move(set)) {
  count = static_cast<std::int32_t>(data.size());
  keypoint_count = static_cast<std::int32_t>(data.keypoint_count);
  boxes = data.boxes.data();
  box_scores = data.box_scores.data();
  keypoints = reinterpret_cast<const float*>(data.points.data());
  scores = data.scores.data();
  ids = tracked ? id_numbers.data() : nullptr;
}

}  // namespace rtmpose::core
