// The C interface as far as it needs no engine: versions, errors, structs, results.
#include <cmath>

#include "api_support.hpp"
#include "people.hpp"

using namespace rtmpose::core;

namespace {

constexpr std::int32_t kVersionNumber =
    10000 * RTMPOSE_VERSION_MAJOR + 100 * RTMPOSE_VERSION_MINOR + RTMPOSE_VERSION_PATCH;

}  // namespace

std::int32_t rtmpose_version_number(void) { return kVersionNumber; }

const char* rtmpose_version(void) {
  static const std::string text = std::to_string(RTMPOSE_VERSION_MAJOR) + "." +
                                  std::to_string(RTMPOSE_VERSION_MINOR) + "." +
                                  std::to_string(RTMPOSE_VERSION_PATCH);
  return text.c_str();
}

const char* rtmpose_last_error(void) { return last_error(); }

void rtmpose_image_init(rtmpose_image* image, std::uint32_t struct_size) {
  fill_struct(image, struct_size, default_image());
}

void rtmpose_detect_params_init(rtmpose_detect_params* params, std::uint32_t struct_size) {
  fill_struct(params, struct_size, default_detect_params());
}

void rtmpose_detections_release(const rtmpose_detections* detections) {
  delete static_cast<const DetectionsResult*>(detections);
}

void rtmpose_poses_release(const rtmpose_poses* poses) {
  delete static_cast<const PosesResult*>(poses);
}

rtmpose_status rtmpose_poses_people(const rtmpose_poses* poses, float person_thr,
                                    const rtmpose_poses** people) {
  return guarded([&] {
    check_given(people, "people");
    *people = nullptr;
    check_given(poses, "poses");
    if (std::isnan(person_thr)) fail_argument("person_thr is not a number");
    const PosesResult& given = *static_cast<const PosesResult*>(poses);
    const float thr = person_thr_for(*given.skeleton, person_thr);
    const Rows rows = people_rows(given.data, *given.skeleton, thr);

    // People who are tracked keep their ids.
    const bool tracked = given.ids != nullptr;
    std::vector<std::int64_t> ids;
    for (const std::size_t row : rows) {
      if (tracked) ids.push_back(given.id_numbers[row]);
    }
    *people = new PosesResult(given.data.select(rows), std::move(ids), tracked, given.skeleton);
  });
}
