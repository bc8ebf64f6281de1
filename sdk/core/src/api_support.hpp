// What the functions of the C interface share: errors, structs of callers, results.
#pragma once

#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "model_description.hpp"
#include "pose_stages.hpp"

namespace rtmpose::core {

// ---- errors

// The calling thread's error; the text is cut where it is too long.
void set_last_error(const char* text) noexcept;
const char* last_error() noexcept;

// Runs a function and turns what it throws into a status and a text: nothing is thrown across the C
// interface.
template <typename Function>
rtmpose_status guarded(Function&& function) noexcept {
  set_last_error("");
  try {
    function();
    return RTMPOSE_OK;
  } catch (const Error& error) {
    set_last_error(error.what());
    return error.status;
  } catch (const std::bad_alloc&) {
    set_last_error("not enough memory");
    return RTMPOSE_ERROR_MEMORY;
  } catch (const std::exception& error) {
    set_last_error(error.what());
    return RTMPOSE_ERROR_INTERNAL;
  } catch (...) {
    set_last_error("an unknown fault");
    return RTMPOSE_ERROR_INTERNAL;
  }
}

// Throws where a pointer that is needed is NULL.
void check_given(const void* pointer, const char* name);

// ---- structs that grow

// Whether somebody has set it: a larger one is memory that nobody has written to.
constexpr bool is_struct_size(std::uint32_t size) {
  constexpr std::uint32_t kLargest = 4096;
  return size >= 2 * sizeof(std::uint32_t) && size <= kLargest;
}

// Fills a caller's struct, which may be shorter or longer than this library's.
template <typename Struct>
void fill_struct(Struct* target, std::uint32_t struct_size, Struct values) noexcept {
  if (!target || struct_size < sizeof(std::uint32_t)) return;
  values.struct_size = struct_size;
  std::memset(static_cast<void*>(target), 0, struct_size);
  std::memcpy(static_cast<void*>(target), &values,
              struct_size < sizeof(Struct) ? struct_size : sizeof(Struct));
}

// Reads a caller's struct: fields that it does not have keep the default values.
template <typename Struct>
Struct read_struct(const Struct* given, Struct defaults, const char* name) {
  if (!given) return defaults;
  if (!is_struct_size(given->struct_size)) {
    fail_argument(std::string(name) + " has no struct_size: fill it with " + name + "_init first");
  }
  std::memcpy(&defaults, given,
              given->struct_size < sizeof(Struct) ? given->struct_size : sizeof(Struct));
  return defaults;
}

rtmpose_image default_image() noexcept;

// ---- values of callers

// Throws where the image cannot be used.
ImageView image_view(const rtmpose_image* image);

// Throws where a box is none: NaN, infinite, without extent, or far away from any image.
void check_boxes(const rtmpose_box* boxes, std::int32_t count);

// Throws where it is no number in 0..1.
void check_fraction(float value, const char* name);

// Writes what a model is, as much as the struct has room for.
void give_info(const ModelDescription& model, rtmpose_model_info* info);

rtmpose_detect_params default_detect_params() noexcept;

// The given settings, or the defaults for NULL. Throws where one makes no sense.
rtmpose_detect_params checked_detect_params(const rtmpose_detect_params* given);

// The lowest score of a one-stage model's people: the given one, or where it is negative the default.
float person_box_thr(float given);

// The boxes of a call: those given, or without any the whole image. scores: NULL: all 1. The image
// must outlive the tasks. Throws where a box or score is none.
std::vector<PoseTask> tasks_of(const ImageView& image, const rtmpose_box* boxes,
                               const float* scores, std::int32_t count);

// ---- results

// The arrays that a result's pointers lead to.
struct DetectionsResult : rtmpose_detections {
  explicit DetectionsResult(Detections found);

  const Detections data;
  const std::vector<std::int32_t> class_numbers;
};

struct PosesResult : rtmpose_poses {
  PosesResult(Poses people, std::vector<std::int64_t> numbers, bool tracked,
              std::shared_ptr<const Skeleton> set);

  const Poses data;
  const std::vector<std::int64_t> id_numbers;
  const std::shared_ptr<const Skeleton> skeleton;
};

}  // namespace rtmpose::core
