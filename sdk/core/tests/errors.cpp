// Every kind of wrong argument gives a status and a text, never a crash.
#include <cmath>
#include <cstring>
#include <limits>
#include <locale>

#include "check.hpp"
#include "model_errors.hpp"
#include "rtmpose_core.h"

namespace {

const std::string kDetector = std::string(RTMPOSE_MODELS) + "/rtmdet-nano_finetuned_320x320.onnx";
const std::string kPose =
    std::string(RTMPOSE_MODELS) + "/rtmpose-s-pruned_finetuned-halpe26_192x144.onnx";

constexpr float kInfinity = std::numeric_limits<float>::infinity();

rtmpose_image image_of(const std::vector<std::uint8_t>& pixels, int width, int height) {
  rtmpose_image image;
  rtmpose_image_init(&image, sizeof(image));
  image.data = pixels.data();
  image.width = width;
  image.height = height;
  return image;
}

void wrong_images(const rtmpose_detector* detector) {
  const std::vector<std::uint8_t> pixels(3 * 16 * 16);
  const rtmpose_detections* found = nullptr;
  const auto fails = [&](const rtmpose_image* image, const char* words, const char* what) {
    found = reinterpret_cast<const rtmpose_detections*>(&pixels);
    checks::fails(rtmpose_detector_apply(detector, image, nullptr, &found), RTMPOSE_ERROR_ARGUMENT,
                  words, what);
    checks::that(found == nullptr, std::string(what) + " leaves no result");
  };
  rtmpose_image image = image_of(pixels, 16, 16);
  fails(nullptr, "NULL", "no image");
  image.width = 0;
  fails(&image, "empty", "an empty image");
  image.width = -5;
  fails(&image, "empty", "a negative width");
  image = image_of(pixels, 16, 16);
  image.height = std::numeric_limits<std::int32_t>::max();
  fails(&image, "too large", "a huge height");
  image = image_of(pixels, 16, 16);
  image.data = nullptr;
  fails(&image, "data is NULL", "no pixels");
  image = image_of(pixels, 16, 16);
  image.format = 99;
  fails(&image, "format 99", "an unknown format");
  image = image_of(pixels, 16, 16);
  image.stride = 10;
  fails(&image, "stride", "a stride shorter than a row");
  image.stride = -48;
  fails(&image, "stride", "a negative stride");
  image = image_of(pixels, 16, 16);
  image.struct_size = 0;
  fails(&image, "struct_size", "a struct without size");
}

void wrong_detect_params(const rtmpose_detector* detector) {
  const std::vector<std::uint8_t> pixels(3 * 16 * 16);
  const rtmpose_image image = image_of(pixels, 16, 16);
  const rtmpose_detections* found = nullptr;
  rtmpose_detect_params params;
  rtmpose_detect_params_init(&params, sizeof(params));
  params.box_thr = std::nanf("");
  checks::fails(rtmpose_detector_apply(detector, &image, &params, &found), RTMPOSE_ERROR_ARGUMENT,
                "box_thr", "a threshold that is no number");
  params.box_thr = 0.3f;
  params.label = -7;
  checks::fails(rtmpose_detector_apply(detector, &image, &params, &found), RTMPOSE_ERROR_ARGUMENT,
                "label", "a label of -7");
  checks::fails(rtmpose_detector_apply(detector, &image, nullptr, nullptr), RTMPOSE_ERROR_ARGUMENT,
                "NULL", "nowhere to put the result");
  checks::fails(rtmpose_detector_apply(nullptr, &image, nullptr, &found), RTMPOSE_ERROR_ARGUMENT,
                "detector is NULL", "no detector");
}

// As in countries that write 0,5.
struct Comma : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
};

void numbers_in_errors(const rtmpose_pose_detector* pose) {
  const std::vector<std::uint8_t> pixels(3 * 16 * 16);
  const rtmpose_image image = image_of(pixels, 16, 16);
  const rtmpose_box box{0.5f, 0, 0.25f, 10};
  const rtmpose_poses* poses = nullptr;
  const std::locale usual = std::locale::global(std::locale(std::locale::classic(), new Comma));
  checks::fails(rtmpose_pose_detector_apply(pose, &image, &box, 1, -1, &poses),
                RTMPOSE_ERROR_ARGUMENT, "(0.5, 0, 0.25, 10)", "a box in a text");
  std::locale::global(usual);
}

void wrong_boxes(const rtmpose_pose_detector* pose) {
  const std::vector<std::uint8_t> pixels(3 * 16 * 16);
  const rtmpose_image image = image_of(pixels, 16, 16);
  const rtmpose_poses* poses = nullptr;
  const auto fails = [&](rtmpose_box box, const char* what) {
    checks::fails(rtmpose_pose_detector_apply(pose, &image, &box, 1, -1, &poses),
                  RTMPOSE_ERROR_ARGUMENT, "box 0", what);
  };
  fails({std::nanf(""), 0, 10, 10}, "a corner that is no number");
  fails({0, 0, kInfinity, 10}, "an infinite box");
  fails({10, 0, 0, 10}, "corners the wrong way round");
  fails({5, 5, 5, 10}, "a box without width");
  fails({-3e38f, 0, 3e38f, 10}, "a box wider than any image");
  const rtmpose_box box{0, 0, 10, 10};
  checks::fails(rtmpose_pose_detector_apply(pose, &image, &box, -1, -1, &poses),
                RTMPOSE_ERROR_ARGUMENT, "number of boxes", "a negative number of boxes");
  checks::fails(rtmpose_pose_detector_apply(pose, &image, nullptr, 3, -1, &poses),
                RTMPOSE_ERROR_ARGUMENT, "boxes is NULL", "three boxes without memory");

  // What is allowed: nobody, a box far outside, and one of a millionth of a pixel.
  rtmpose::check(rtmpose_pose_detector_apply(pose, &image, &box, 0, -1, &poses));
  checks::that(poses->count == 0 && poses->keypoint_count == 26, "no boxes, nobody");
  rtmpose_poses_release(poses);
  for (const rtmpose_box odd : {rtmpose_box{-900, -900, -800, -700},
                                rtmpose_box{9e6f, 9e6f, 9.9e6f, 9.9e6f},
                                rtmpose_box{1, 1, 1.000001f, 1.000001f}}) {
    rtmpose::check(rtmpose_pose_detector_apply(pose, &image, &odd, 1, -1, &poses));
    checks::that(poses->count == 1, "a person in an odd box");
    rtmpose_poses_release(poses);
  }
}

void wrong_frames(const rtmpose_model* detector, const rtmpose_model* pose) {
  rtmpose_tracker* tracker = nullptr;
  checks::fails(rtmpose_tracker_create(detector, nullptr, nullptr, &tracker),
                RTMPOSE_ERROR_ARGUMENT, "pose is NULL", "a tracker without pose model");
  checks::fails(rtmpose_tracker_create(pose, pose, nullptr, &tracker), RTMPOSE_ERROR_MODEL,
                "not a detector", "a pose model as detector");
  checks::fails(rtmpose_tracker_create(detector, detector, nullptr, &tracker), RTMPOSE_ERROR_MODEL,
                "not a pose model", "a detector as pose model");
  rtmpose::check(rtmpose_tracker_create(detector, pose, nullptr, &tracker));
  rtmpose_stream* stream = nullptr;
  rtmpose_stream* other = nullptr;
  rtmpose::check(rtmpose_stream_create(tracker, &stream));
  rtmpose::check(rtmpose_stream_create(tracker, &other));
  const std::vector<std::uint8_t> pixels(3 * 64 * 64, 90);
  const rtmpose_image image = image_of(pixels, 64, 64);
  const rtmpose_poses* poses = nullptr;
  rtmpose_frame frame;
  rtmpose_frame_init(&frame, sizeof(frame));
  const auto fails = [&](const char* words, const char* what) {
    checks::fails(rtmpose_tracker_apply(tracker, &frame, &poses), RTMPOSE_ERROR_ARGUMENT, words,
                  what);
  };
  fails("stream is NULL", "a frame without stream");
  frame.stream = stream;
  fails("image is NULL", "a frame without image");
  frame.image = &image;
  frame.time_s = std::numeric_limits<double>::infinity();
  fails("infinite", "an infinite time");
  frame.time_s = std::nan("");
  const rtmpose_frame* twice[] = {&frame, &frame};
  const rtmpose_poses* results[2];
  checks::fails(rtmpose_tracker_apply_batch(tracker, twice, 2, results), RTMPOSE_ERROR_ARGUMENT,
                "of one stream", "one stream twice");
  checks::fails(rtmpose_tracker_apply_batch(tracker, twice, 0, results), RTMPOSE_ERROR_ARGUMENT,
                "number of frames", "no frames");

  // The same image twice for two streams, one with boxes from elsewhere.
  const rtmpose_box box{5, 5, 60, 60};
  rtmpose_frame second = frame;
  second.stream = other;
  second.boxes = &box;
  second.box_count = 1;
  const rtmpose_frame* both[] = {&frame, &second};
  rtmpose::check(rtmpose_tracker_apply_batch(tracker, both, 2, results));
  checks::that(results[0]->count == 0 && results[0]->ids, "nobody in a gray image");
  checks::that(results[0]->boxes && results[0]->keypoints && results[0]->scores,
               "arrays have an address where nobody is there");
  for (const rtmpose_poses* result : results) rtmpose_poses_release(result);

  // The two halves of a frame may not be mixed with whole frames.
  const rtmpose_detections* wanted = nullptr;
  rtmpose::check(rtmpose_stream_begin(stream, 64, 64, std::nan(""), nullptr, nullptr, nullptr, 0,
                                      &wanted));
  rtmpose_detections_release(wanted);
  fails("has no poses yet", "a whole frame within another");
  rtmpose::check(rtmpose_stream_finish(stream, nullptr, nullptr, 0, &poses));
  rtmpose_poses_release(poses);
  rtmpose::check(rtmpose_tracker_apply(tracker, &frame, &poses));
  rtmpose_poses_release(poses);

  // Streams keep what they need of a tracker.
  rtmpose_tracker_destroy(tracker);
  checks::that(rtmpose_stream_reset(stream) == RTMPOSE_OK, "a stream outlives its tracker");
  rtmpose_stream_destroy(stream);
  rtmpose_stream_destroy(other);
}

void people_in_one_call(const rtmpose_detector* detector, const rtmpose_pose_detector* pose) {
  const std::vector<std::uint8_t> pixels(3 * 64 * 64, 90);
  const rtmpose_image image = image_of(pixels, 64, 64);
  const rtmpose_poses* people = nullptr;
  checks::fails(rtmpose_find_people(nullptr, pose, &image, nullptr, -1, &people),
                RTMPOSE_ERROR_ARGUMENT, "detector is NULL", "people without a detector");
  checks::fails(rtmpose_find_people(detector, nullptr, &image, nullptr, -1, &people),
                RTMPOSE_ERROR_ARGUMENT, "pose is NULL", "people without a pose detector");
  checks::fails(rtmpose_find_people(detector, pose, &image, nullptr, std::nanf(""), &people),
                RTMPOSE_ERROR_ARGUMENT, "person_thr", "a threshold that is no number");
  rtmpose::check(rtmpose_find_people(detector, pose, &image, nullptr, -1, &people));
  checks::that(people->count == 0 && people->keypoint_count == 26, "nobody in a gray image");
  rtmpose_poses_release(people);
}

// What a detector finds goes to a pose detector as it is: nobody stays nobody.
void nobody_is_not_the_whole_image(const rtmpose_detector* detector,
                                   const rtmpose_pose_detector* pose) {
  const std::vector<std::uint8_t> pixels(3 * 64 * 64, 90);
  const rtmpose_image image = image_of(pixels, 64, 64);
  const rtmpose_detections* found = nullptr;
  const rtmpose_poses* poses = nullptr;
  rtmpose::check(rtmpose_detector_apply(detector, &image, nullptr, &found));
  checks::that(found->count == 0 && found->boxes && found->scores && found->labels,
               "arrays have an address where nothing is found");
  rtmpose::check(
      rtmpose_pose_detector_apply(pose, &image, found->boxes, found->count, -1, &poses));
  checks::that(poses->count == 0, "nobody is found where no boxes are");

  // Values of a result that nobody keeps are copies, which live as long as the loop.
  rtmpose_detections_release(found);
  rtmpose_detect_params params;
  rtmpose_detect_params_init(&params, sizeof(params));
  params.box_thr = 0;
  rtmpose::check(rtmpose_detector_apply(detector, &image, &params, &found));
  const std::size_t count = static_cast<std::size_t>(found->count);
  std::size_t sane = 0;
  for (const float score : rtmpose::Detections(found).scores()) sane += score >= 0 && score <= 1;
  checks::that(count > 0 && sane == count, "scores of a result that nobody keeps");
  rtmpose_poses_release(poses);
}

void model_infos(const rtmpose_model* model) {
  rtmpose_model_info info;
  std::memset(&info, 0x55, sizeof(info));  // memory that nobody has written to
  checks::fails(rtmpose_model_get_info(model, &info), RTMPOSE_ERROR_ARGUMENT, "struct_size",
                "an info without size");
  info.struct_size = 12;
  rtmpose::check(rtmpose_model_get_info(model, &info));
  checks::that(info.kind == RTMPOSE_KIND_POSE && info.input_width == 144, "a short info is filled");
  checks::that(info.input_height == 0x55555555, "nothing is written behind a short info");
  checks::fails(rtmpose_model_get_info(nullptr, &info), RTMPOSE_ERROR_ARGUMENT, "model is NULL",
                "the info of nothing");
  checks::fails(rtmpose_model_get_info(model, nullptr), RTMPOSE_ERROR_ARGUMENT, "info is NULL",
                "nowhere to put the info");
}

void short_structs() {
  // As of a program that was built when there were fewer fields.
  rtmpose_tracker_params params;
  std::memset(&params, 0x55, sizeof(params));
  rtmpose_tracker_params_init(&params, 12);
  checks::that(params.struct_size == 12 && params.det_interval == 1, "a short struct is filled");
  std::int32_t next = 0;
  std::memcpy(&next, reinterpret_cast<const char*>(&params) + 12, sizeof(next));
  checks::that(next == 0x55555555, "nothing is written behind a short struct");
}

void release_nothing() {
  rtmpose_model_close(nullptr);
  rtmpose_detector_destroy(nullptr);
  rtmpose_pose_detector_destroy(nullptr);
  rtmpose_tracker_destroy(nullptr);
  rtmpose_stream_destroy(nullptr);
  rtmpose_poses_release(nullptr);
  rtmpose_detections_release(nullptr);
  rtmpose_image_init(nullptr, 4);
  rtmpose_options_init(nullptr, 4);
  rtmpose_frame_init(nullptr, 4);
  checks::that(rtmpose_stream_reset(nullptr) == RTMPOSE_ERROR_ARGUMENT, "resetting nothing");
  checks::that(*rtmpose_last_error() != 0, "a failure has a text");
  checks::that(rtmpose_version_number() == 10000 * RTMPOSE_VERSION_MAJOR +
                                               100 * RTMPOSE_VERSION_MINOR + RTMPOSE_VERSION_PATCH,
               "the version of the header");
}

// Texts that are too long are cut, but never inside of a character.
void cut_texts() {
  std::string path = "/nowhere/";
  for (int i = 0; i < 1500; ++i) path += "\u00e9";
  for (int shift = 0; shift < 2; ++shift) {
    rtmpose_model* model = nullptr;
    const rtmpose_status status = rtmpose_model_open(path.c_str(), nullptr, &model);
    const std::string text = rtmpose_last_error();
    checks::that(status == RTMPOSE_ERROR_MODEL && text.size() > 2000, "a long path");
    checks::that(text.substr(text.size() - 2) == "\u00e9", "a text is cut between characters");
    path = "/" + path;
  }
}

}  // namespace

int main() {
  try {
    release_nothing();
    short_structs();
    cut_texts();
    wrong_model_files();
    const rtmpose::Model detector_model(kDetector, 1);
    const rtmpose::Model pose_model(kPose, 1);
    rtmpose_detector* detector = nullptr;
    rtmpose_pose_detector* pose = nullptr;
    checks::fails(rtmpose_detector_create(pose_model.get(), &detector), RTMPOSE_ERROR_MODEL,
                  "not a detector", "a pose model as detector");
    rtmpose::check(rtmpose_detector_create(detector_model.get(), &detector));
    rtmpose::check(rtmpose_pose_detector_create(pose_model.get(), &pose));
    wrong_images(detector);
    wrong_detect_params(detector);
    wrong_boxes(pose);
    numbers_in_errors(pose);
    wrong_frames(detector_model.get(), pose_model.get());
    people_in_one_call(detector, pose);
    nobody_is_not_the_whole_image(detector, pose);
    model_infos(pose_model.get());
    rtmpose_detector_destroy(detector);
    rtmpose_pose_detector_destroy(pose);
  } catch (const rtmpose::Error& error) {
    checks::that(false, std::string("no call fails that should not: ") + error.what());
  }
  return checks::result();
}
